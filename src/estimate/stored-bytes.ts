/** @file Bytes of every kind of object in the store. */
import type { ModelConfig } from '../model/index.js';
import { sketchRank } from './forward-work.js';

/** A lower triangle in float64. */
const triangleBytes = (size: number): number => 8 * ((size * (size + 1)) / 2);

/** Rows in eight bits: a step for each number, a float16 scale for every 64, a float32 unit for each row. */
const eightBitBytes = (rows: number, columns: number): number => rows * (columns + 2 * Math.ceil(columns / 64) + 4);

/** One layer's statistics: moment and inverse factor as triangles, and the sketch, all float64. */
export const statisticsBytes = ({ dInner }: ModelConfig): number => 2 * triangleBytes(dInner) + 8 * sketchRank * dInner;

/** Sums of one shard, or a checkpoint of them, for one layer. They are removed when they are merged. */
export const sumsBytes = ({ dInner }: ModelConfig): number => triangleBytes(dInner);

/** One layer's inverse factor and sketch, which every solve reads. */
export const factorBytes = ({ dInner }: ModelConfig): number => triangleBytes(dInner) + 8 * sketchRank * dInner;

/**
 * One layer's part of a segment with `n` new rows on `p` earlier ones: keys and targets in eight bits, the new gram
 * matrix as a float32 triangle, and gram rows against earlier rows in eight bits with one of every 64 in float32.
 */
export function segmentBytes({ dInner, dModel }: ModelConfig, p: number, n: number): number {
  const gram = 4 * ((n * (n + 1)) / 2) + 4 * n;
  const cross = p === 0 ? 0 : eightBitBytes(n, p) + 4 * n * Math.ceil(p / 64);
  return eightBitBytes(n, dInner) + eightBitBytes(n, dModel) + gram + cross;
}

/** One layer's sketch, which the first segment ships. */
export const sketchBytes = ({ dInner }: ModelConfig): number => eightBitBytes(sketchRank, dInner);

/** A stored value: delta in float64, its losses, its header. */
export const valueBytes = ({ dModel }: ModelConfig, steps: number): number => 8 * (dModel + steps + 1) + 600;

/** A manifest names every edit that was ever written. */
const manifestBytesPerEdit = 320;
/** Report, records of validation and solve, plan: about this many bytes for each edit of the round. */
const recordBytesPerEdit = 6_000;
const recordBytes = 250_000;

/** All JSON and HTML files of a round. */
export const roundRecordsBytes = (allEdits: number, edits: number): number =>
  manifestBytesPerEdit * allEdits + recordBytesPerEdit * edits + recordBytes;
