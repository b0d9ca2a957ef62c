import { type Model, packSequences } from '../model/index.js';
import type { Program } from '../runtime/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import { type ObjectiveSequence, suffixLength } from './objective-sequence.js';

/** The compiled graphs that an objective is evaluated with. */
export interface ObjectivePrograms {
  readonly model: Model;
  /** First block above the value layer. */
  readonly firstLayer: number;
  readonly objective: Program;
}

/** Loss terms and gradients of a batch of edits, one entry per edit. */
export interface ObjectiveEvaluation {
  readonly nll: readonly number[];
  readonly keptLoss: readonly number[];
  /** float32 [dModel] each, of `nll + keptLoss` by delta. */
  readonly gradients: readonly Float32Array[];
  /** Whether all target tokens are the most probable ones. */
  readonly hits: readonly boolean[];
  /** Whether the most probable token is the same as before at all kept positions. */
  readonly kept: readonly boolean[];
}

/** One sequence with everything that stays the same from step to step. */
interface PreparedSequence extends ObjectiveSequence {
  /** Block-L output from the subject on: float32 [suffix, dModel]. */
  readonly suffix: Float32Array;
  /** Log-probabilities before the edit, one [vocab] per kept position. */
  readonly keptBefore: readonly Float32Array[];
}

/**
 * The objective of some edits as a function of their deltas. Immutable: {@link select} gives a smaller objective of the
 * edits whose search goes on.
 */
export class ValueObjective {
  #feeds: Readonly<Record<string, Tensor>> | undefined;
  readonly #programs: ObjectivePrograms;
  readonly #edits: number;
  readonly #sequences: readonly PreparedSequence[];
  /** `past.<part>.<layer>`: float32 [batch, past, width]. */
  readonly #past: Readonly<Record<string, Tensor>>;

  private constructor(
    programs: ObjectivePrograms,
    edits: number,
    sequences: readonly PreparedSequence[],
    past: Readonly<Record<string, Tensor>>,
  ) {
    this.#programs = programs;
    this.#edits = edits;
    this.#sequences = sequences;
    this.#past = past;
  }

  /**
   * Lays out the rows and evaluates the objective at `delta = 0`. This also gives the distributions to keep. At
   * `delta = 0` they are compared with themselves, so their divergence and its gradient are 0.
   */
  static async create(
    programs: ObjectivePrograms,
    edits: number,
    sequences: readonly ObjectiveSequence[],
    suffixes: readonly Float32Array[],
    past: Readonly<Record<string, Tensor>>,
  ): Promise<{ readonly objective: ValueObjective; readonly atZero: ObjectiveEvaluation }> {
    const { vocab, dModel } = programs.model.config;
    const unknown = new Float32Array(vocab);
    const laidOut = sequences.map((sequence, s) => ({ ...sequence, suffix: suffixes[s] }));
    const unweighted = laidOut.map((sequence) => ({
      ...weighted(sequence, 1, 0),
      keptBefore: sequence.kept.map(() => unknown),
    }));
    const blind = new ValueObjective(programs, edits, unweighted, past);
    const zero = new Float64Array(dModel);
    const { keptNow, ...atZero } = await blind.#run(Array.from({ length: edits }, () => zero));
    let row = 0;
    const prepared = laidOut.map((sequence) => ({
      ...sequence,
      keptBefore: sequence.kept.map(() => keptNow.subarray(row * vocab, ++row * vocab)),
    }));
    const objective = new ValueObjective(programs, edits, prepared, past);
    return { objective, atZero: { ...atZero, kept: atZero.kept.map(() => true) } };
  }

  /** z of an edit, the block-L output at the subject of its bare prompt: float64 [dModel]. */
  initialOf(edit: number): Float64Array {
    const bare = this.#sequences.find((sequence) => sequence.edit === edit)!;
    return Float64Array.from(bare.suffix.subarray(0, this.#programs.model.config.dModel));
  }

  /**
   * @param deltas float64 [dModel] per edit
   */
  evaluate(deltas: readonly Float64Array[]): Promise<ObjectiveEvaluation> {
    return this.#run(deltas);
  }

  /** All inputs but delta. Made at the first run, because many objectives are only divided further and never run. */
  #constantFeeds(): Readonly<Record<string, Tensor>> {
    this.#feeds ??= objectiveFeeds(this.#programs.model, this.#edits, this.#sequences, this.#past);
    return this.#feeds;
  }

  async #run(deltas: readonly Float64Array[]): Promise<ObjectiveEvaluation & { readonly keptNow: Float32Array }> {
    const { dModel } = this.#programs.model.config;
    const delta = new Float32Array(this.#edits * dModel);
    deltas.forEach((values, e) => {
      delta.set(values, e * dModel);
    });
    const outputs = await this.#programs.objective.run({
      ...this.#constantFeeds(),
      delta: tensor('float32', [this.#edits, dModel], delta),
    });
    const gradient = outputs.gradient.data as Float32Array;
    const allHit = (hits: Tensor, positionsOf: (sequence: PreparedSequence) => readonly unknown[]) => {
      let position = 0;
      const result = new Array<boolean>(this.#edits).fill(true);
      for (const sequence of this.#sequences) {
        for (const _ of positionsOf(sequence)) {
          const isHit = hits.data[position++] === 1;
          result[sequence.edit] &&= isHit;
        }
      }
      return result;
    };
    return {
      nll: Array.from(outputs.nll.data as Float32Array),
      keptLoss: Array.from(outputs.keptLoss.data as Float32Array),
      gradients: deltas.map((_, e) => gradient.subarray(e * dModel, (e + 1) * dModel)),
      hits: allHit(outputs.hits, ({ targets }) => targets),
      kept: allHit(outputs.keptHits, ({ kept }) => kept),
      keptNow: outputs.keptNow.data as Float32Array,
    };
  }

  /** The objective of these edits only, in this order. */
  select(edits: readonly number[]): ValueObjective {
    const position = new Map(edits.map((edit, i) => [edit, i]));
    return this.#withSequences(edits.length, (sequence) => {
      const edit = position.get(sequence.edit);
      return edit === undefined ? undefined : { ...sequence, edit };
    });
  }

  /**
   * The objective in parts, each with this many of the context templates and a share of the keep prompts. Each is
   * weighted to stand for the whole: if all have one size, their mean is the whole. With 0 templates there is one part
   * with all.
   */
  parts(templates: number): ValueObjective[] {
    const all = Math.max(...this.#sequences.map(({ template }) => template ?? -1)) + 1;
    const count = templates === 0 ? 1 : Math.ceil(all / templates);
    if (count <= 1) return [this];
    const keepPromptsOf = new Map<number, number>();
    const partOf = this.#sequences.map(({ edit, template }) => {
      if (template !== undefined) return Math.floor(template / templates);
      const index = keepPromptsOf.get(edit) ?? 0;
      keepPromptsOf.set(edit, index + 1);
      return index % count;
    });
    return Array.from({ length: count }, (_, part) => {
      const factor = all / Math.min(templates, all - part * templates);
      return this.#withSequences(this.#edits, (sequence, s) =>
        partOf[s] === part ? weighted(sequence, factor, count) : undefined,
      );
    });
  }

  /** The objective of fewer sequences. */
  #withSequences(
    edits: number,
    change: (sequence: PreparedSequence, index: number) => PreparedSequence | undefined,
  ): ValueObjective {
    const changed = this.#sequences.map(change);
    const kept = changed.flatMap((sequence, s) => (sequence === undefined ? [] : [s]));
    const past = Object.fromEntries(Object.entries(this.#past).map(([name, value]) => [name, takeBatch(value, kept)]));
    const sequences = changed.filter((sequence) => sequence !== undefined);
    return new ValueObjective(this.#programs, edits, sequences, past);
  }
}

/** The same sequence, with the weights of its targets and kept positions multiplied. */
function weighted<T extends ObjectiveSequence>(sequence: T, targetFactor: number, keptFactor: number): T {
  return {
    ...sequence,
    targets: sequence.targets.map((t) => ({ ...t, weight: t.weight * targetFactor })),
    kept: sequence.kept.map((k) => ({ ...k, weight: k.weight * keptFactor })),
  };
}

function objectiveFeeds(
  { config }: Model,
  edits: number,
  sequences: readonly PreparedSequence[],
  past: Readonly<Record<string, Tensor>>,
): Record<string, Tensor> {
  const starts = rowStarts(sequences);
  const rows = starts[sequences.length];
  const lookup = new Float32Array(rows * edits);
  sequences.forEach(({ edit }, s) => {
    lookup[starts[s] * edits + edit] = 1;
  });
  const rowOf = (s: number, positionIndex: number) => starts[s] + positionIndex - sequences[s].lookupIndex;
  const targets = sequences.flatMap(({ edit, targets }, s) =>
    targets.map((t) => ({ edit, row: rowOf(s, t.positionIndex), ...t })),
  );
  const kept = sequences.flatMap(({ edit, kept, keptBefore }, s) =>
    kept.map((k, i) => ({ edit, row: rowOf(s, k.positionIndex), weight: k.weight, before: keptBefore[i] })),
  );
  // An axis must not be empty: if nothing is kept, there is one kept row of weight 0.
  if (kept.length === 0) kept.push({ edit: 0, row: 0, weight: 0, before: new Float32Array(config.vocab) });
  return {
    ...suffixFeeds({ config }, sequences, past),
    lookup: tensor('float32', [rows, edits], lookup),
    targetRows: int64(targets.map((t) => t.row)),
    targetIds: int64(
      targets.map((t) => t.tokenId),
      [targets.length, 1],
    ),
    targetWeights: weightsByEdit(edits, targets),
    keptRows: int64(kept.map((k) => k.row)),
    keptBefore: tensor('float32', [kept.length, config.vocab], concatenate(kept.map((k) => k.before))),
    keptWeights: weightsByEdit(edits, kept),
  };
}

function suffixFeeds(
  { config }: Pick<Model, 'config'>,
  sequences: readonly PreparedSequence[],
  past: Readonly<Record<string, Tensor>>,
): Record<string, Tensor> {
  const extents = sequences.map((s) => ({ past: s.lookupIndex, length: suffixLength(s) }));
  const hidden = concatenate(sequences.map((s) => s.suffix));
  const pastTokens = Object.values(past)[0]?.shape[1] ?? 1;
  return {
    ...packSequences(config, extents, { pastTokens }),
    ...past,
    hidden: tensor('float32', [hidden.length / config.dModel, config.dModel], hidden),
  };
}

/** First row of each sequence, and the number of rows at the end. */
function rowStarts(sequences: readonly ObjectiveSequence[]): number[] {
  const starts = [0];
  for (const sequence of sequences) starts.push(starts[starts.length - 1] + suffixLength(sequence));
  return starts;
}

/** [edits, n]: the weight of entry i at row `entries[i].edit`. */
function weightsByEdit(edits: number, entries: readonly { readonly edit: number; readonly weight: number }[]): Tensor {
  const data = new Float32Array(edits * entries.length);
  entries.forEach(({ edit, weight }, i) => {
    data[edit * entries.length + i] = weight;
  });
  return tensor('float32', [edits, entries.length], data);
}

function takeBatch(value: Tensor, indices: readonly number[]): Tensor {
  const [, past, width] = value.shape;
  const data = value.data as Float32Array;
  const size = past * width;
  return tensor(
    'float32',
    [indices.length, past, width],
    concatenate(indices.map((i) => data.subarray(i * size, (i + 1) * size))),
  );
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
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
