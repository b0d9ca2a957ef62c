/** @file Many rounds of one hooked layer at once, and edits that are taken back. */
import { InvalidInputError } from '../errors.js';
import { type EditMemory, emptyMemory, type RoundSegment, replayRound, requireContinuation } from './edit-memory.js';
import type { GemmEngine } from './gemm.js';
import { type Matrix, matrix } from './matrix.js';

/** A round as it was written: on top of the edits before it, but for those that it takes back first. */
export interface HistoryRound {
  /** Indices of the edits that are taken back, among those before the round; duplicates are allowed. */
  readonly removed: readonly number[];
  readonly segment: RoundSegment;
}

/**
 * The memory after these rounds, in one solve: `n³ / 3` for the factor of `n` edits however many rounds wrote them, and
 * nothing for those that were taken back.
 *
 * It is the memory of {@link replayRound} round by round, up to rounding, because `A` is a function of `V` and the gram
 * matrix alone. All edits are solved again, also those that the memory has: so whoever comes by whatever versions to the
 * same edits gets the same bits from the same engine.
 * @throws InvalidInputError when a segment's shapes do not continue what is before it, or an index is out of range
 * @throws NotPositiveDefiniteError when the gram rows are not those of any keys
 */
export async function replayRounds(
  memory: EditMemory,
  rounds: readonly HistoryRound[],
  engine: GemmEngine,
): Promise<EditMemory> {
  const { dInner, dModel, momentWeight } = memory;
  const empty = emptyMemory(dInner, dModel, momentWeight);
  return replayRound(empty, joinRounds(memory, rounds), engine);
}

/**
 * The memory without these edits: what it would be had they never been written and had all others still asked for
 * the same responses. Exact whatever the order of the rounds, because nothing but `V` depends on that order.
 *
 * The targets stay, not the residuals: an edit's target state `z*` is absolute, so a residual measured on top of a
 * revoked edit would lack the part that the revoked edit had already written.
 * @param indices of the edits to revoke, in the order in which they were written; duplicates are allowed
 * @throws InvalidInputError when an index is out of range
 */
export async function removeEdits(
  memory: EditMemory,
  indices: readonly number[],
  engine: GemmEngine,
): Promise<EditMemory> {
  const { dInner, dModel } = memory;
  const count = memory.gram.rows - new Set(indices).size;
  const nothing = { whitenedKeys: matrix(0, dInner), targets: matrix(dModel, 0), gramRows: matrix(0, count) };
  return replayRounds(memory, [{ removed: indices, segment: nothing }], engine);
}

/** A segment, and which of all edits it is about: they are numbered in the order of writing, across all segments. */
interface Part {
  readonly segment: RoundSegment;
  /** Number of its first row. */
  readonly first: number;
  /** Numbers of the edits that its gram rows' columns stand for. */
  readonly columns: readonly number[];
}

/** One segment for all edits that are left, those of the memory before those of the rounds. */
function joinRounds(memory: EditMemory, rounds: readonly HistoryRound[]): RoundSegment {
  const { whitenedKeys, targets, gram } = memory;
  let active: readonly number[] = range(0, gram.rows);
  let written = gram.rows;
  const parts: Part[] = [{ segment: { whitenedKeys, targets, gramRows: gram }, first: 0, columns: active }];
  for (const { removed, segment } of rounds) {
    active = withoutIndices(active, removed);
    requireContinuation(memory, segment, active.length);
    active = [...active, ...range(written, written + segment.gramRows.rows)];
    parts.push({ segment, first: written, columns: active });
    written += segment.gramRows.rows;
  }
  const position = new Int32Array(written).fill(-1);
  active.forEach((number, index) => {
    position[number] = index;
  });
  return joinParts(memory, parts, position, active.length);
}

/**
 * @param position where each edit is among those left, -1 for those that are not: `[edits ever written]`
 * @param count edits that are left
 */
function joinParts(
  { dInner, dModel }: EditMemory,
  parts: readonly Part[],
  position: Int32Array,
  count: number,
): RoundSegment {
  const joined = {
    whitenedKeys: matrix(count, dInner),
    targets: matrix(dModel, count),
    gramRows: matrix(count, count),
  };
  for (const { segment, first, columns } of parts) {
    const places = columns.map((number) => position[number]);
    for (let row = 0; row < segment.gramRows.rows; row++) {
      const place = position[first + row];
      if (place < 0) continue;
      const key = segment.whitenedKeys.data.subarray(row * dInner, (row + 1) * dInner);
      joined.whitenedKeys.data.set(key, place * dInner);
      copyColumn(segment.targets, row, joined.targets, place);
      copyGramRow(segment.gramRows, row, places, joined.gramRows, place);
    }
  }
  return joined;
}

function copyColumn(source: Matrix, column: number, target: Matrix, to: number): void {
  for (let i = 0; i < source.rows; i++) {
    target.data[i * target.columns + to] = source.data[i * source.columns + column];
  }
}

/** Puts a gram row to its place, and into the column that symmetry makes of it. */
function copyGramRow(source: Matrix, row: number, places: readonly number[], target: Matrix, place: number): void {
  for (let j = 0; j < source.columns; j++) {
    const other = places[j];
    if (other < 0) continue;
    const value = source.data[row * source.columns + j];
    target.data[place * target.columns + other] = value;
    target.data[other * target.columns + place] = value;
  }
}

/**
 * What is left of a list with an entry for each edit.
 * @throws InvalidInputError when an index is out of range
 */
export function withoutIndices<T>(values: readonly T[], removed: readonly number[]): readonly T[] {
  for (const index of removed) {
    if (!Number.isInteger(index) || index < 0 || index >= values.length) {
      throw new InvalidInputError('index of a revoked edit', `an integer from 0 to ${values.length - 1}`, `${index}`);
    }
  }
  const gone = new Set(removed);
  return gone.size === 0 ? values : values.filter((_, index) => !gone.has(index));
}

const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i);
