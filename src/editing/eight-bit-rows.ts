/** @file Rows of numbers in eight bits, as hook segments store them. */
import { MalformedFileError } from '../errors.js';
import { type Matrix, matrix } from '../linalg/index.js';
import { type Tensor, tensor, toFloat16, toFloat32 } from '../tensor/index.js';

/** Numbers that share a scale. */
const blockSize = 64;

/** The step that means "take the next peak", see {@link decodePeakedRows}. */
const peakStep = -128;

/** Finds the tensor of this name in a file. */
export type TensorLookup = (name: string) => Tensor;

/**
 * Rows in eight bits: `x = unit * scale * step`. A row's unit is the power of two at or above its largest magnitude, so
 * that scales fit float16 for any size of numbers. Every run of 64 numbers shares a scale: its largest magnitude / 127,
 * rounded down to float16. Each number is the nearest of at most 127 steps, so its error is at most half of
 * `unit * scale`. Because scales are rounded down, the largest number of a run is always 127 steps, and rounding
 * rounded rows changes nothing.
 *
 * @returns tensors `name` int8 [rows, columns], `nameScales` float16 [rows, ceil(columns / 64)], `nameUnits` float32
 *   [rows]
 */
export function encodeRows(name: string, { rows, columns, data }: Matrix): [string, Tensor][] {
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
  const scales = float16Below(largest.map((magnitude, block) => magnitude / units[Math.floor(block / blocks)] / 127));
  const steps = new Int8Array(rows * columns);
  const multiples = stepSizes(scales, units, blocks);
  data.forEach((value, i) => {
    const size = multiples[blockOf(i, columns, blocks)];
    steps[i] = size === 0 ? 0 : Math.max(-127, Math.min(127, Math.round(value / size)));
  });
  return [
    [name, tensor('int8', [rows, columns], steps)],
    [`${name}Scales`, tensor('float16', [rows, blocks], scales)],
    [`${name}Units`, tensor('float32', [rows], units)],
  ];
}

/**
 * Undoes {@link encodeRows}.
 *
 * @throws {MalformedFileError} if the tensors do not fit each other
 */
export function decodeRows(name: string, get: TensorLookup, what: string): Matrix {
  const [stored, scales, units] = [get(name), get(`${name}Scales`), get(`${name}Units`)];
  const [rows, columns] = stored.shape;
  const blocks = Math.ceil(columns / blockSize);
  const fits = scales.dtype === 'float16' && scales.data.length === rows * blocks && units.data.length === rows;
  if (stored.dtype !== 'int8' || stored.shape.length !== 2 || !fits) {
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

/** Rows as they are read back from a file. */
export function roundRowsToEightBits(rows: Matrix): Matrix {
  return decodeRows('rows', lookup(encodeRows('rows', rows)), 'rows');
}

/**
 * Rows in eight bits, with the largest few of every 64 numbers in float32. For rows with outliers, which would make the
 * steps of all their neighbours coarse.
 *
 * @param peaks how many of every 64 numbers
 * @returns the tensors of {@link encodeRows}, -128 steps in a peak's place, and `namePeaks` float32, one after the
 *   other
 */
function encodePeakedRows(name: string, rows: Matrix, peaks: number): [string, Tensor][] {
  const positions = peakPositions(rows, peaks);
  const rest = matrix(rows.rows, rows.columns, rows.data.slice());
  for (const position of positions) rest.data[position] = 0;
  const [[, stored], ...others] = encodeRows(name, rest);
  const steps = (stored.data as Int8Array).slice();
  for (const position of positions) steps[position] = peakStep;
  const values = Float32Array.from(positions, (position) => rows.data[position]);
  return [
    [name, tensor('int8', [rows.rows, rows.columns], steps)],
    ...others,
    [`${name}Peaks`, tensor('float32', [values.length], values)],
  ];
}

/**
 * Undoes {@link encodePeakedRows}.
 *
 * @throws {MalformedFileError} if the tensors do not fit each other
 */
export function decodePeakedRows(name: string, get: TensorLookup, what: string): Matrix {
  const rows = decodeRows(name, get, what);
  const peaks = toFloat32(get(`${name}Peaks`));
  let next = 0;
  (get(name).data as Int8Array).forEach((step, i) => {
    if (step === peakStep) rows.data[i] = peaks[next++];
  });
  if (next !== peaks.length) throw new MalformedFileError(what, `${next} peaks in ${name}`, `${peaks.length}`);
  return rows;
}

/** Rows as they are read back from a file with this many of every 64 numbers in float32. */
export function roundPeakedRows(rows: Matrix, peaks: number): Matrix {
  return decodePeakedRows('rows', lookup(encodePeakedRows('rows', rows, peaks)), 'rows');
}

/** {@link encodePeakedRows} if it changes no number, else undefined. */
export function encodeLossless(name: string, rows: Matrix, peaks: number): [string, Tensor][] | undefined {
  const tensors = encodePeakedRows(name, rows, peaks);
  const { data } = decodePeakedRows(name, lookup(tensors), name);
  return rows.data.every((value, i) => value === data[i]) ? tensors : undefined;
}

function lookup(tensors: readonly (readonly [string, Tensor])[]): TensorLookup {
  const byName = new Map(tensors);
  return (name) => byName.get(name)!;
}

/** Positions of the numbers at least as large as the `peaks`th largest magnitude of their run of 64, ascending. */
function peakPositions({ rows, columns, data }: Matrix, peaks: number): number[] {
  const positions: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let start = 0; start < columns; start += blockSize) {
      const first = row * columns + start;
      const magnitudes = data.slice(first, row * columns + Math.min(start + blockSize, columns)).map(Math.abs);
      const least = magnitudes.toSorted()[Math.max(0, magnitudes.length - peaks)];
      magnitudes.forEach((magnitude, i) => {
        if (magnitude > 0 && magnitude >= least) positions.push(first + i);
      });
    }
  }
  return positions;
}

/** The largest float16 at or below each of these numbers, which must not be negative. */
function float16Below(values: Float64Array): Uint16Array {
  const nearest = toFloat16(values);
  const widened = toFloat32(tensor('float16', [nearest.length], nearest));
  // Positive float16 are ordered like their bits.
  return nearest.map((bits, i) => (widened[i] > values[i] ? bits - 1 : bits));
}

/** `unit * scale` of every block. */
function stepSizes(scales: Uint16Array, units: Float32Array, blocks: number): Float64Array {
  const widened = toFloat32(tensor('float16', [scales.length], scales));
  return Float64Array.from(widened, (scale, block) => scale * units[Math.floor(block / blocks)]);
}

function blockOf(index: number, columns: number, blocks: number): number {
  return Math.floor(index / columns) * blocks + Math.floor((index % columns) / blockSize);
}
