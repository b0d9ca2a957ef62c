/** @file A hook segment as bytes: one safetensors file of a published version. */
import { z } from 'zod';
import { MalformedFileError } from '../errors.js';
import { parseJson } from '../json.js';
import { block, type Matrix, matrix, type RoundStorage, stackColumns, transpose } from '../linalg/index.js';
import { decodeSafetensors, encodeSafetensors, type Tensor, tensor, toFloat32 } from '../tensor/index.js';
import type { HookSegment, LayerSegment, LayerSketch } from './edit-state.js';
import {
  decodePeakedRows,
  decodeRows,
  encodeLossless,
  encodeRows,
  roundPeakedRows,
  roundRowsToEightBits,
  type TensorLookup,
} from './eight-bit-rows.js';

/** A segment, and in a snapshot's first segment the sketches that consumers need beside it. */
export interface HookFile {
  readonly segment: HookSegment;
  readonly sketches: readonly LayerSketch[];
}

const metadataSchema = z.strictObject({
  format: z.literal('hookline-segment'),
  formatVersion: z.enum(['1', '2']),
  removedIds: z.string(),
  addedIds: z.string(),
  layers: z.string(),
});
const idList = z.array(z.string());
const layerList = z.array(z.int().nonnegative());

/**
 * How many of every 64 numbers of the gram rows between new and earlier edits float32 holds, cheapest first. Without
 * any, the largest of the 64 makes the steps of the others too coarse; one is nearly always enough, see
 * docs/results.md.
 */
const crossPeaks = [1, 4, 16];

/**
 * Encodes a segment. Tensors per layer l, where `8bit x` is `x` int8 with `xScales` float16 and `xUnits` float32, see
 * {@link encodeRows}:
 * - `8bit l.whitenedKeys` [edits, dInner];
 * - `8bit l.targets` [edits, dModel];
 * - `l.gram` float32, the lower triangle of the new edits' gram matrix [edits, edits], row by row;
 * - `8bit l.cross` [edits, previous], the gram matrix of new and earlier edits, with `l.crossPeaks` float32, see
 *   {@link decodePeakedRows}; or `l.cross` float32 where eight bits would do harm;
 * - `l.thresholds` [edits] float32, `l.sequenceThreshold` [1] float32;
 * - `8bit l.sketch` [sketchRank, dInner], in a first segment.
 *
 * All numbers must be rounded already, see {@link segmentStorage}. Format version 1 had the rows of `gramRows`
 * [edits, previous + edits] up to the diagonal in `l.gram`, and no `l.cross`. It is still read.
 */
export function encodeHookFile({ segment, sketches }: HookFile): Uint8Array {
  const tensors: [string, Tensor][] = [];
  for (const { layer, round, thresholds, sequenceThreshold } of segment.layers) {
    tensors.push(...encodeRows(`${layer}.whitenedKeys`, round.whitenedKeys));
    tensors.push(...encodeRows(`${layer}.targets`, transpose(round.targets)));
    tensors.push(...encodeGram(layer, round.gramRows));
    tensors.push([`${layer}.thresholds`, tensor('float32', [thresholds.length], Float32Array.from(thresholds))]);
    tensors.push([`${layer}.sequenceThreshold`, tensor('float32', [1], Float32Array.of(sequenceThreshold))]);
  }
  for (const { layer, sketch } of sketches) {
    tensors.push(...encodeRows(`${layer}.sketch`, sketch));
  }
  return encodeSafetensors(tensors, {
    format: 'hookline-segment',
    formatVersion: '2',
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
  const header = headerOf(metadata, what);
  const get = (name: string): Tensor => {
    const found = tensors.get(name);
    if (found === undefined) throw new MalformedFileError(what, `a tensor ${name}`, 'none');
    return found;
  };
  const numbers = (name: string) => Array.from(toFloat32(get(name)));
  const rows = (name: string) => decodeRows(name, get, what);
  const layers = parseMetadata(header.layers, layerList, what);
  return {
    segment: {
      ...idsOf(header, what),
      layers: layers.map((layer): LayerSegment => {
        const whitenedKeys = rows(`${layer}.whitenedKeys`);
        const lower = fullRows(get(`${layer}.gram`), whitenedKeys.rows, what);
        const gramRows = tensors.has(`${layer}.cross`) ? stackColumns(decodeCross(layer, get, what), lower) : lower;
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
 * The edits that a segment removes and adds, read without its numbers, which take eight times their bytes when decoded.
 *
 * @throws {MalformedFileError} if the bytes are not a segment
 */
export function decodeHookIds(bytes: Uint8Array, what: string): Pick<HookSegment, 'removedIds' | 'addedIds'> {
  return idsOf(headerOf(decodeSafetensors(bytes, what).metadata, what), what);
}

type Header = z.infer<typeof metadataSchema>;

function headerOf(metadata: unknown, what: string): Header {
  const header = metadataSchema.safeParse(metadata);
  if (header.success) return header.data;
  throw new MalformedFileError(what, 'a hook segment of format version 1 or 2', header.error.issues[0].message);
}

const idsOf = ({ removedIds, addedIds }: Header, what: string) => ({
  removedIds: parseMetadata(removedIds, idList, what),
  addedIds: parseMetadata(addedIds, idList, what),
});

/**
 * Roundings to what a segment stores, so that a state is solved for exactly the numbers that consumers will load.
 * Keys are rounded row by row [edits, dInner], targets column by column [dModel, edits].
 */
export function segmentStorage(dInner: number, dModel: number): Required<RoundStorage> {
  return {
    roundKeys: (values) => roundRowsToEightBits(matrix(values.length / dInner, dInner, values)).data,
    roundTargets: (values) =>
      transpose(roundRowsToEightBits(transpose(matrix(dModel, values.length / dModel, values)))).data,
    roundGram: (values) => Float64Array.from(Float32Array.from(values)),
    coarseCross: crossPeaks.map((peaks) => (cross) => roundPeakedRows(cross, peaks)),
  };
}

/** A sketch as consumers will load it. */
export function roundSketch(sketch: Matrix): Matrix {
  return roundRowsToEightBits(sketch);
}

/** The gram rows [n, previous + n]. The part of earlier edits is stored in eight bits if that loses nothing. */
function encodeGram(layer: number, gramRows: Matrix): [string, Tensor][] {
  const previous = gramRows.columns - gramRows.rows;
  const cross = block(gramRows, 0, gramRows.rows, 0, previous);
  const name = `${layer}.cross`;
  const coarse = firstDefined(crossPeaks, (peaks) => encodeLossless(name, cross, peaks));
  const whole: [string, Tensor] = [name, tensor('float32', [cross.rows, cross.columns], Float32Array.from(cross.data))];
  return [
    [`${layer}.gram`, lowerRows(block(gramRows, 0, gramRows.rows, previous, gramRows.columns))],
    ...(coarse ?? [whole]),
  ];
}

function firstDefined<T, R>(items: readonly T[], attempt: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const result = attempt(item);
    if (result !== undefined) return result;
  }
  return undefined;
}

function decodeCross(layer: number, get: TensorLookup, what: string): Matrix {
  const stored = get(`${layer}.cross`);
  if (stored.dtype === 'int8') return decodePeakedRows(`${layer}.cross`, get, what);
  return matrix(stored.shape[0], stored.shape[1], Float64Array.from(toFloat32(stored)));
}

/** The lower triangle of a square matrix, row by row: float32 [n (n + 1) / 2]. */
function lowerRows(a: Matrix): Tensor {
  const packed = Array.from({ length: a.rows }, (_, r) =>
    Array.from(a.data.subarray(r * a.columns, r * a.columns + r + 1)),
  ).flat();
  return tensor('float32', [packed.length], Float32Array.from(packed));
}

/** Rows [n, previous + n] from their parts up to the diagonal. From format version 2 on, `previous` is 0. */
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
    value = parseJson(text);
  } catch (cause) {
    throw new MalformedFileError(what, 'JSON in its metadata', text.slice(0, 40), { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new MalformedFileError(what, 'lists in its metadata', text.slice(0, 40));
  return parsed.data;
}
