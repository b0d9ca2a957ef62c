/** @file Replays many rounds of one hooked layer in one solve, and removes edits. */
import { InvalidInputError } from '../errors.js';
import { type EditMemory, emptyMemory, type RoundSegment, replayRound, requireContinuation } from './edit-memory.js';
import type { GemmEngine } from './gemm.js';
import { type Matrix, matrix } from './matrix.js';

/** A round as it was written: it first removes some of the edits before it, and then adds its own. */
export interface HistoryRound {
  /** Indices of the removed edits among those before the round. Duplicates are allowed. */
  readonly removed: readonly number[];
  readonly segment: RoundSegment;
}

/**
 * The memory after these rounds, in one solve. The factor of the `n` remaining edits costs `n³ / 3`, however many
 * rounds wrote them.
 *
 * Up to rounding, the result is that of {@link replayRound} round by round, because `A` depends on `V` and the gram
 * matrix alone. Edits that the memory holds already are solved again too. So the same edits give the same bits with the
 * same engine, whichever versions led to them.
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
 * The memory without these edits: as if they had never been written, and all others had asked for the same responses.
 * It is exact for any order of the rounds, because only `V` depends on that order.
 *
 * Targets are kept, not residuals. An edit's target state `z*` is absolute, and a residual measured on top of a revoked
 * edit would lack the part that the revoked edit had written.
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

/** A segment with the numbers of its edits, which are counted in the order of writing across all segments. */
interface Part {
  readonly segment: RoundSegment;
  /** Number of its first row. */
  readonly first: number;
  /** Numbers of the edits that its gram rows' columns stand for. */
  readonly columns: readonly number[];
}

/** One segment of all remaining edits: first those of the memory, then those of the rounds. */
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
 * @param position index of each edit among the remaining ones, -1 for removed edits: `[edits ever written]`
 * @param count remaining edits
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

/** Copies a gram row to its place, and to the symmetric column. */
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
 * A list with one entry for each edit, without the entries of the removed edits.
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
