/** @file A hook segment as bytes: one safetensors file, what a published version ships. */
import { z } from 'zod';
import { MalformedFileError } from '../errors.js';
import { type Matrix, matrix, type RoundStorage, transpose } from '../linalg/index.js';
import { decodeSafetensors, encodeSafetensors, type Tensor, tensor, toFloat16, toFloat32 } from '../tensor/index.js';
import type { HookSegment, LayerSegment, LayerSketch } from './edit-state.js';

/** A segment, and in a snapshot's first segment the sketches that consumers need beside it. */
export interface HookFile {
  readonly segment: HookSegment;
  readonly sketches: readonly LayerSketch[];
}

const metadataSchema = z.strictObject({
  format: z.literal('hookline-segment'),
  formatVersion: z.literal('1'),
  removedIds: z.string(),
  addedIds: z.string(),
  layers: z.string(),
});
const idList = z.array(z.string());
const layerList = z.array(z.int().nonnegative());

/**
 * Encodes a segment. Tensors per layer l, where `8bit x` is `x` int8 with `xScales` float16 and `xUnits` float32, see {@link quantise}:
 * - `8bit l.whitenedKeys` [edits, dInner];
 * - `8bit l.targets` [edits, dModel];
 * - `l.gram` float32, the rows of `gramRows` [edits, previous + edits] up to the diagonal, one after the other;
 * - `l.thresholds` [edits] float32, `l.sequenceThreshold` [1] float32;
 * - `8bit l.sketch` [sketchRank, dInner], in a first segment.
 *
 * What is encoded must already be representable, see {@link segmentStorage}.
 */
export function encodeHookFile({ segment, sketches }: HookFile): Uint8Array {
  const tensors: [string, Tensor][] = [];
  for (const { layer, round, thresholds, sequenceThreshold } of segment.layers) {
    tensors.push(...encodeRows(`${layer}.whitenedKeys`, round.whitenedKeys));
    tensors.push(...encodeRows(`${layer}.targets`, transpose(round.targets)));
    tensors.push([`${layer}.gram`, lowerRows(round.gramRows)]);
    tensors.push([`${layer}.thresholds`, tensor('float32', [thresholds.length], Float32Array.from(thresholds))]);
    tensors.push([`${layer}.sequenceThreshold`, tensor('float32', [1], Float32Array.of(sequenceThreshold))]);
  }
  for (const { layer, sketch } of sketches) {
    tensors.push(...encodeRows(`${layer}.sketch`, sketch));
  }
  return encodeSafetensors(tensors, {
    format: 'hookline-segment',
    formatVersion: '1',
    removedIds: JSON.stringify(segment.removedIds),
    addedIds: JSON.stringify(segment.addedIds),
    layers: JSON.stringify(segment.layers.map(({ layer }) => layer)),
  });
}

/**
 * @param what named in errors
 * @throws {MalformedFileError} if the bytes are not a segment
 */
export function decodeHookFile(bytes: Uint8Array, what: string): HookFile {
  const { metadata, tensors } = decodeSafetensors(bytes, what);
  const header = metadataSchema.safeParse(metadata);
  if (!header.success)
    throw new MalformedFileError(what, 'a hook segment of format version 1', header.error.issues[0].message);
  const get = (name: string): Tensor => {
    const found = tensors.get(name);
    if (found === undefined) throw new MalformedFileError(what, `a tensor ${name}`, 'none');
    return found;
  };
  const numbers = (name: string) => Array.from(toFloat32(get(name)));
  const rows = (name: string) => decodeRows(get(name), get(`${name}Scales`), get(`${name}Units`), what);
  const layers = parseMetadata(header.data.layers, layerList, what);
  return {
    segment: {
      removedIds: parseMetadata(header.data.removedIds, idList, what),
      addedIds: parseMetadata(header.data.addedIds, idList, what),
      layers: layers.map((layer): LayerSegment => {
        const whitenedKeys = rows(`${layer}.whitenedKeys`);
        const gramRows = fullRows(get(`${layer}.gram`), whitenedKeys.rows, what);
        return {
          layer,
          round: { whitenedKeys, targets: transpose(rows(`${layer}.targets`)), gramRows },
          thresholds: numbers(`${layer}.thresholds`),
          sequenceThreshold: numbers(`${layer}.sequenceThreshold`)[0],
        };
      }),
    },
    sketches: layers
      .filter((layer) => tensors.has(`${layer}.sketch`))
      .map((layer) => ({ layer, sketch: rows(`${layer}.sketch`) })),
  };
}

/**
 * Roundings to what a segment stores, so that a state is solved for just the numbers that its consumers will load.
 * Keys are rounded row by row [edits, dInner], targets column by column [dModel, edits].
 */
export function segmentStorage(dInner: number, dModel: number): Required<RoundStorage> {
  return {
    roundKeys: (values) => roundRows(matrix(values.length / dInner, dInner, values)).data,
    roundTargets: (values) => transpose(roundRows(transpose(matrix(dModel, values.length / dModel, values)))).data,
    roundGram: (values) => Float64Array.from(Float32Array.from(values)),
  };
}

/** A sketch as consumers will load it. */
export function roundSketch(sketch: Matrix): Matrix {
  return roundRows(sketch);
}

/** Numbers that share a scale. */
const blockSize = 64;

/**
 * Rows in eight bits: `x = unit * scale * step`. A row's unit is the power of two at or above its largest magnitude, so
 * that scales fit float16 whatever the row's size; every run of 64 numbers shares a scale, its largest magnitude over
 * 127; each number is the nearest multiple of it, so its error is at most half of `unit * scale`.
 *
 * @returns steps int8 [rows, columns], scales float16 [rows, ceil(columns / 64)], units float32 [rows]
 */
function quantise({ rows, columns, data }: Matrix): { steps: Int8Array; scales: Uint16Array; units: Float32Array } {
  const blocks = Math.ceil(columns / blockSize);
  const largest = new Float64Array(rows * blocks);
  data.forEach((value, i) => {
    const block = blockOf(i, columns, blocks);
    largest[block] = Math.max(largest[block], Math.abs(value));
  });
  const units = Float32Array.from({ length: rows }, (_, r) => {
    const magnitude = largest.subarray(r * blocks, (r + 1) * blocks).reduce((a, b) => Math.max(a, b), 0);
    return magnitude === 0 ? 1 : 2 ** Math.ceil(Math.log2(magnitude));
  });
  const scales = toFloat16(largest.map((magnitude, block) => magnitude / units[Math.floor(block / blocks)] / 127));
  const steps = new Int8Array(rows * columns);
  const multiples = stepSizes(scales, units, blocks);
  data.forEach((value, i) => {
    const size = multiples[blockOf(i, columns, blocks)];
    steps[i] = size === 0 ? 0 : Math.max(-127, Math.min(127, Math.round(value / size)));
  });
  return { steps, scales, units };
}

/** `unit * scale` of every block. */
function stepSizes(scales: Uint16Array, units: Float32Array, blocks: number): Float64Array {
  const widened = toFloat32(tensor('float16', [scales.length], scales));
  return Float64Array.from(widened, (scale, block) => scale * units[Math.floor(block / blocks)]);
}

function blockOf(index: number, columns: number, blocks: number): number {
  return Math.floor(index / columns) * blocks + Math.floor((index % columns) / blockSize);
}

function encodeRows(name: string, rows: Matrix): [string, Tensor][] {
  const { steps, scales, units } = quantise(rows);
  return [
    [name, tensor('int8', [rows.rows, rows.columns], steps)],
    [`${name}Scales`, tensor('float16', [rows.rows, Math.ceil(rows.columns / blockSize)], scales)],
    [`${name}Units`, tensor('float32', [rows.rows], units)],
  ];
}

function decodeRows(stored: Tensor, scales: Tensor, units: Tensor, what: string): Matrix {
  const [rows, columns] = stored.shape;
  const blocks = Math.ceil(columns / blockSize);
  const fits = scales.dtype === 'float16' && scales.data.length === rows * blocks && units.data.length === rows;
  if (stored.dtype !== 'int8' || !fits) {
    throw new MalformedFileError(
      what,
      'int8 rows with a scale for every 64 numbers',
      `${stored.dtype} [${stored.shape}]`,
    );
  }
  const sizes = stepSizes(scales.data as Uint16Array, toFloat32(units), blocks);
  const steps = stored.data as Int8Array;
  return matrix(
    rows,
    columns,
    Float64Array.from(steps, (step, i) => step * sizes[blockOf(i, columns, blocks)]),
  );
}

/** Rows as they come back from a file. */
function roundRows(rows: Matrix): Matrix {
  const [[, stored], [, scales], [, units]] = encodeRows('rows', rows);
  return decodeRows(stored, scales, units, 'rows');
}

/** The rows [n, previous + n] up to their diagonals: float32 [n previous + n (n + 1) / 2]. */
function lowerRows(a: Matrix): Tensor {
  const previous = a.columns - a.rows;
  const packed = Array.from({ length: a.rows }, (_, r) =>
    Array.from(a.data.subarray(r * a.columns, r * a.columns + previous + r + 1)),
  ).flat();
  return tensor('float32', [packed.length], Float32Array.from(packed));
}

/** Undoes {@link lowerRows}: the corner [n, n] is symmetric. */
function fullRows(packed: Tensor, rows: number, what: string): Matrix {
  const numbers = toFloat32(packed);
  const previous = rows === 0 ? 0 : (numbers.length - (rows * (rows + 1)) / 2) / rows;
  if (!Number.isInteger(previous) || previous < 0) {
    throw new MalformedFileError(what, `gram rows of ${rows} edits`, `${numbers.length} numbers`);
  }
  const result = matrix(rows, previous + rows);
  let next = 0;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c <= previous + r; c++, next++) {
      result.data[r * result.columns + c] = numbers[next];
      if (c >= previous) result.data[(c - previous) * result.columns + previous + r] = numbers[next];
    }
  }
  return result;
}

function parseMetadata<T>(text: string, schema: z.ZodType<T>, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MalformedFileError(what, 'JSON in its metadata', text.slice(0, 40), { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new MalformedFileError(what, 'lists in its metadata', text.slice(0, 40));
  return parsed.data;
}
