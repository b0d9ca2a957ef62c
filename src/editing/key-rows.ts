/** @file Under which keys a subject's value is stored: one row for each kind of its forms. */
import { columnNorms, type GemmEngine, type Matrix, matrix, whiten } from '../linalg/index.js';
import { type KeyStatistics, statisticsOf } from './edit-state.js';
import type { HookLayer } from './hook.js';
import type { Hyperparameters } from './hyperparameters.js';
import type { KeyCollection, KeySource } from './key-collection.js';
import type { TokenizedSubject } from './prompts.js';

/** A row to write: a key under which the value of a subject is stored. */
export interface KeyRow extends KeySource {
  /** Of the subject's memory: all its rows have this id. */
  readonly id: string;
  /** tau: whitened cosine from which the row opens the gates that compare keys. */
  readonly threshold: number;
}

/** Rows of subjects, those of one subject together and in the order of the subjects. */
export interface SubjectRows {
  readonly rows: readonly KeyRow[];
  /** Index of each row's subject. */
  readonly subjects: readonly number[];
  /** Z: float64 [dModel, rows], the base model's output of block L at each row's first text. */
  readonly hidden: Matrix;
}

/** What rows are made with. */
export interface KeyRowsContext {
  readonly settings: Pick<Hyperparameters, 'layers' | 'similarityThreshold' | 'formSimilarity'>;
  readonly collection: KeyCollection;
  readonly statistics: readonly KeyStatistics[];
  readonly engine: GemmEngine;
  readonly rowsPerBatch: number;
}

/** What is left of a key's similarity to itself is rounding. */
const exactShare = 0.98;

/** First tokens of other texts that are asked whether they would open a row, spread over the vocabulary. */
export const beginningCount = 256;

/**
 * Gathers each subject's forms into rows. A form joins the first row whose first form's key is similar enough to its own in
 * every hooked layer, in whitened cosine; else it begins a row. A row's key is the mean of its forms'.
 *
 * The first token of a text sees nothing but itself, and from the early layers on all first tokens have nearly the same key, as
 * have some that follow soon. A form that is one such token, or whose key is half as similar to some as would open its row, has a
 * row to itself that opens only at this very key: else it would open at the beginning of every text. Where even so some other
 * first token opens it, because the gate knows the norm of a key only nearly, there is no such row, unless it is the subject's only
 * one.
 *
 * @param hooks of any state: they are closed
 */
export async function keyRows(
  { settings, collection, statistics, engine, rowsPerBatch }: KeyRowsContext,
  subjects: readonly Pick<TokenizedSubject, 'id' | 'forms'>[],
  hooks: readonly HookLayer[],
): Promise<SubjectRows> {
  const forms = subjects.flatMap(({ forms }, subject) =>
    forms.map(({ tokenIds }) => ({ subject, text: { tokenIds, lookupIndex: tokenIds.length - 1 } })),
  );
  const beginnings = Array.from({ length: beginningCount }, (_, b) => ({
    tokenIds: [Math.floor(((b + 0.5) * collection.vocab) / beginningCount)],
    lookupIndex: 0,
  }));
  const sources = [...forms.map(({ text }) => text), ...beginnings].map((text) => ({
    texts: [{ ...text, weight: 1 }],
  }));
  const { keys, hidden } = await collection.collect(sources, hooks, rowsPerBatch, () => 'closed');
  const layers: Directions[] = [];
  for (const layer of settings.layers) {
    const { inverseFactor, sketch } = statisticsOf(statistics, layer);
    const { whitened } = await whiten(keys.get(layer)!, inverseFactor, engine);
    layers.push({
      whitened,
      norms: columnNorms(whitened),
      sketched: columnNorms(await engine.gemm(sketch, keys.get(layer)!)),
    });
  }
  const groups: Group[] = [];
  let own: Group[] = [];
  // Any token will do that is not a special one, as the first often are.
  const middle = forms.length + (beginningCount >> 1);
  forms.forEach(({ subject, text }, f) => {
    if (f === 0 || forms[f - 1].subject !== subject) own = [];
    const isLike = (other: number, least: number) =>
      layers.every(({ whitened, norms }) => cosineOf(whitened, norms, other, f) >= least);
    const isExact =
      text.tokenIds.length === 1 ||
      layers.some(({ whitened, norms }) => cosineOf(whitened, norms, middle, f) >= settings.similarityThreshold / 2);
    const found = own.find((group) =>
      isExact || group.isExact
        ? isExact && group.isExact && forms[group.members[0]].text.tokenIds.join() === text.tokenIds.join()
        : isLike(group.members[0], settings.formSimilarity),
    );
    if (found) {
      found.members.push(f);
      return;
    }
    const group = { subject, members: [f], isExact };
    own.push(group);
    groups.push(group);
  });
  const thresholdOf = ({ members: [first], isExact }: Group) =>
    isExact
      ? exactShare * Math.min(...layers.map(({ norms, sketched }) => norms[first] / sketched[first]))
      : settings.similarityThreshold;
  /** Whether the beginning of some other text opens a row. */
  const opensAtBeginnings = (group: Group) =>
    beginnings.some(
      ({ tokenIds }, b) =>
        !group.members.some((f) => forms[f].text.tokenIds.join() === tokenIds.join()) &&
        layers.some((layer) => strengthOf(layer, group.members[0], forms.length + b) >= thresholdOf(group)),
    );
  const written = groups.filter(
    (group) =>
      !group.isExact ||
      !groups.some((other) => other.subject === group.subject && !other.isExact) ||
      !opensAtBeginnings(group),
  );
  const rows = written.map((group): KeyRow => {
    const { subject, members } = group;
    return {
      id: subjects[subject].id,
      texts: members.map((f) => ({ ...forms[f].text, weight: 1 / members.length })),
      threshold: thresholdOf(group),
    };
  });
  return {
    rows,
    subjects: written.map(({ subject }) => subject),
    hidden: selectColumns(
      hidden,
      written.map(({ members }) => members[0]),
    ),
  };
}

/** Forms of one subject that share a row. */
interface Group {
  readonly subject: number;
  readonly members: number[];
  /** Whether the row opens at the very key of its forms alone. */
  readonly isExact: boolean;
}

/** Keys of one layer in its whitened space. */
interface Directions {
  readonly whitened: Matrix;
  readonly norms: Float64Array;
  /** `|Q k|`, which the gate takes for the whitened norm. */
  readonly sketched: Float64Array;
}

/** The cosine of two columns. */
function cosineOf({ rows, columns, data }: Matrix, norms: Float64Array, i: number, j: number): number {
  let sum = 0;
  for (let r = 0; r < rows; r++) sum += data[r * columns + i] * data[r * columns + j];
  return sum / (norms[i] * norms[j]);
}

/** How strongly a key opens a row, as the gate reckons it: by the row's whitened norm, and the sketched one of the key. */
function strengthOf(
  { whitened: { rows, columns, data }, norms, sketched }: Directions,
  row: number,
  key: number,
): number {
  let sum = 0;
  for (let r = 0; r < rows; r++) sum += data[r * columns + row] * data[r * columns + key];
  return sum / (norms[row] * sketched[key]);
}

function selectColumns(a: Matrix, columns: readonly number[]): Matrix {
  const result = matrix(a.rows, columns.length);
  for (let r = 0; r < a.rows; r++) {
    columns.forEach((column, c) => {
      result.data[r * columns.length + c] = a.data[r * a.columns + column];
    });
  }
  return result;
}

/**
 * Z*: what each row's first text should put out, `Z + delta` of its subject.
 *
 * @param deltas float64 [dModel] per subject
 * @returns float64 [dModel, rows]
 */
export function rowTargets({ subjects, hidden }: SubjectRows, deltas: readonly Float64Array[]): Matrix {
  const data = hidden.data.map((value, i) => {
    const column = i % hidden.columns;
    return value + deltas[subjects[column]][(i - column) / hidden.columns];
  });
  return matrix(hidden.rows, hidden.columns, data);
}
