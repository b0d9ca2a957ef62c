/** @file What a run of the objective's program is fed. */
import { type Model, type ModelConfig, packSequences } from '../model/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import { type ObjectiveSequence, suffixLength } from './objective-sequence.js';

/** One sequence with everything that stays the same from step to step. */
export interface PreparedSequence extends ObjectiveSequence {
  /** Block-L output from the subject on: float32 [suffix, dModel]. */
  readonly suffix: Float32Array;
  /** Log-probabilities before the edit, one [vocab] per kept position. */
  readonly keptBefore: readonly Float32Array[];
  /** `past.<part>.<layer>`, keys and values above L of what stands before: float32 [lookups[0], width] each. */
  readonly past: Readonly<Record<string, Float32Array>>;
}

/** The feeds for some sequences of so many subjects, all but `delta`. */
export function objectiveFeeds(
  { config }: Pick<Model, 'config'>,
  subjects: number,
  sequences: readonly PreparedSequence[],
): Record<string, Tensor> {
  const starts = rowStarts(sequences);
  const rows = starts[sequences.length];
  const rowOf = (s: number, positionIndex: number) => starts[s] + positionIndex - sequences[s].lookups[0];
  const lookup = new Float32Array(rows * subjects);
  sequences.forEach(({ subject, lookups }, s) => {
    for (const position of lookups) lookup[rowOf(s, position) * subjects + subject] = 1;
  });
  const targets = sequences.flatMap(({ subject, targets }, s) =>
    targets.map((t) => ({ subject, row: rowOf(s, t.positionIndex), ...t })),
  );
  const kept = sequences.flatMap(({ subject, kept, keptBefore }, s) =>
    kept.map((k, i) => ({ subject, row: rowOf(s, k.positionIndex), weight: k.weight, before: keptBefore[i] })),
  );
  const scored = targets.length + kept.length;
  const before = new Float32Array(scored * config.vocab);
  kept.forEach((one, k) => {
    before.set(one.before, (targets.length + k) * config.vocab);
  });
  return {
    ...suffixFeeds({ config }, sequences),
    lookup: tensor('float32', [rows, subjects], lookup),
    scoredRows: int64([...targets, ...kept].map(({ row }) => row)),
    targetIds: int64([...targets.map(({ tokenId }) => tokenId), ...kept.map(() => 0)], [scored, 1]),
    targetWeights: weightsBySubject(subjects, scored, 0, targets),
    before: tensor('float32', [scored, config.vocab], before),
    keptWeights: weightsBySubject(subjects, scored, targets.length, kept),
  };
}

/**
 * The feeds with which the program of the objective says keys and values of sequences that nothing stands before: all rows of them,
 * and a scored one of weight 0, because an axis must not be empty.
 *
 * @param pastNames of all inputs `past.<part>.<layer>`
 * @param before    block-L output: float32 [tokens, dModel] each
 */
export function pastFeeds(
  { config }: Pick<Model, 'config'>,
  pastNames: readonly string[],
  before: readonly Float32Array[],
): Record<string, Tensor> {
  const { dModel, vocab, keyValueHeads, dHead } = config;
  const extents = before.map((rows) => ({ past: 0, length: rows.length / dModel }));
  const rows = extents.reduce((sum, { length }) => sum + length, 0);
  const width = keyValueHeads * dHead;
  const nothing = tensor('float32', [before.length, 1, width], new Float32Array(before.length * width));
  const zero = () => tensor('float32', [1, 1], new Float32Array(1));
  return {
    ...packSequences(config, extents, { pastTokens: 1 }),
    ...Object.fromEntries(pastNames.map((name) => [name, nothing])),
    hidden: tensor('float32', [rows, dModel], concatenate(before)),
    delta: tensor('float32', [1, dModel], new Float32Array(dModel)),
    lookup: tensor('float32', [rows, 1], new Float32Array(rows)),
    scoredRows: int64([0]),
    targetIds: int64([0], [1, 1]),
    targetWeights: zero(),
    before: tensor('float32', [1, vocab], new Float32Array(vocab)),
    keptWeights: zero(),
    pastRows: int64(Array.from({ length: rows }, (_, row) => row)),
  };
}

function suffixFeeds(
  { config }: Pick<Model, 'config'>,
  sequences: readonly PreparedSequence[],
): Record<string, Tensor> {
  const extents = sequences.map((s) => ({ past: s.lookups[0], length: suffixLength(s) }));
  const hidden = concatenate(sequences.map((s) => s.suffix));
  // An axis must not be empty, so where nothing stands before any subject there is a place that no query sees.
  const pastTokens = Math.max(1, ...extents.map(({ past }) => past));
  const names = Object.keys(sequences[0].past);
  return {
    ...packSequences(config, extents, { pastTokens }),
    ...Object.fromEntries(names.map((name) => [name, pastFeed(config, sequences, name, pastTokens)])),
    hidden: tensor('float32', [hidden.length / config.dModel, config.dModel], hidden),
  };
}

/** One part of one layer's past as a rectangle: float32 [batch, pastTokens, width]. */
function pastFeed(
  { keyValueHeads, dHead }: ModelConfig,
  sequences: readonly PreparedSequence[],
  name: string,
  pastTokens: number,
): Tensor {
  const width = keyValueHeads * dHead;
  const data = new Float32Array(sequences.length * pastTokens * width);
  sequences.forEach(({ past }, s) => {
    data.set(past[name], s * pastTokens * width);
  });
  return tensor('float32', [sequences.length, pastTokens, width], data);
}

/** First row of each sequence, and the number of rows at the end. */
function rowStarts(sequences: readonly ObjectiveSequence[]): number[] {
  const starts = [0];
  for (const sequence of sequences) starts.push(starts[starts.length - 1] + suffixLength(sequence));
  return starts;
}

/** [subjects, scored]: the weight of entry i in row `entries[i].subject` and column `first + i`. */
function weightsBySubject(
  subjects: number,
  scored: number,
  first: number,
  entries: readonly { readonly subject: number; readonly weight: number }[],
): Tensor {
  const data = new Float32Array(subjects * scored);
  entries.forEach(({ subject, weight }, i) => {
    data[subject * scored + first + i] = weight;
  });
  return tensor('float32', [subjects, scored], data);
}

export function concatenate(parts: readonly Float32Array[]): Float32Array {
  const result = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

function int64(values: readonly number[], shape: readonly number[] = [values.length]): Tensor {
  return tensor('int64', shape, BigInt64Array.from(values, BigInt));
}
