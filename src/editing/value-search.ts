import { type Matrix, matrix } from '../linalg/index.js';
import { type Model, type ModelConfig, packSequences } from '../model/index.js';
import { compile, type Device, type Program } from '../runtime/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import { descend, EditSearch, type ValueTarget } from './edit-search.js';
import { type HookLayer, hookFeeds } from './hook.js';
import { type Hyperparameters, valueLayer } from './hyperparameters.js';
import { batchByRows } from './micro-batch.js';
import { type ObjectiveSequence, objectiveSequences, suffixLength } from './objective-sequence.js';
import type { TokenizedEdit } from './prompts.js';
import { belowValueLayer, objectiveGraph, prefixAboveValueLayer } from './value-graphs.js';
import { type ObjectiveEvaluation, ValueObjective } from './value-objective.js';

/** A target and the index of its edit among those searched for. */
export interface FoundTarget {
  readonly index: number;
  readonly target: ValueTarget;
}

/** How a search is run. */
export interface ValueSearchOptions {
  /** Bytes that the activations of one micro-batch may take. */
  readonly memoryBudgetBytes?: number;
  /** Called after each step of a micro-batch. */
  readonly onStep?: (event: { readonly finishedEdits: number; readonly activeEdits: number }) => void;
}

/** Default of {@link ValueSearchOptions.memoryBudgetBytes}: 1.5 GiB. */
export const defaultMemoryBudgetBytes = 1.5 * 2 ** 30;

/**
 * Seeks value targets: for each edit the output of block L at the subject with which the model says the new target,
 * while the answers to the keep prompts stay (arXiv 2403.05330, section 3.1; MEMIT's `compute_z`).
 *
 * The objective is that of running the whole model at every step, at a fraction of the cost. Everything up to block L,
 * and all positions before the subject, are computed once. A step runs the suffixes of many edits at once through the
 * blocks above L. Edits that are done leave the batch.
 */
export class ValueSearch {
  readonly #model: Model;
  readonly #settings: Hyperparameters;
  readonly #below: Program;
  /** Undefined if there is no block above the value layer. */
  readonly #prefix: Program | undefined;
  readonly #objective: Program;

  private constructor(
    model: Model,
    settings: Hyperparameters,
    below: Program,
    prefix: Program | undefined,
    objective: Program,
  ) {
    this.#model = model;
    this.#settings = settings;
    this.#below = below;
    this.#prefix = prefix;
    this.#objective = objective;
  }

  /** @param compileGraph makes the programs, in the order of their use; measurements pass their own */
  static async compile(
    model: Model,
    settings: Hyperparameters,
    device?: Device,
    compileGraph: typeof compile = compile,
  ): Promise<ValueSearch> {
    const options = device ? { device } : {};
    return new ValueSearch(
      model,
      settings,
      await compileGraph(belowValueLayer(model, settings), options),
      blocksAbove(model, settings) === 0
        ? undefined
        : await compileGraph(prefixAboveValueLayer(model, settings), options),
      await compileGraph(objectiveGraph(model, settings), options),
    );
  }

  /** One target per edit, in the edits' order. */
  async search(
    edits: readonly TokenizedEdit[],
    hooks: readonly HookLayer[],
    options: ValueSearchOptions = {},
  ): Promise<ValueTarget[]> {
    const results = new Array<ValueTarget>(edits.length);
    for await (const batch of this.searchBatches(edits, hooks, options)) {
      for (const { index, target } of batch) results[index] = target;
    }
    return results;
  }

  /** The same, but yields each micro-batch when it is done, so that a stopped search keeps what it has found. */
  async *searchBatches(
    edits: readonly TokenizedEdit[],
    hooks: readonly HookLayer[],
    options: ValueSearchOptions = {},
  ): AsyncGenerator<readonly FoundTarget[]> {
    const budget = options.memoryBudgetBytes ?? defaultMemoryBudgetBytes;
    const rowsPerBatch = Math.max(1, Math.floor(budget / objectiveRowBytes(this.#model.config, this.#settings)));
    const rowsOf = (edit: TokenizedEdit) =>
      objectiveSequences(edit, 0, this.#settings).reduce((rows, sequence) => rows + suffixLength(sequence), 0);
    let finished = 0;
    for (const batch of batchByRows(bySuffix(edits), ({ edit }) => rowsOf(edit), rowsPerBatch)) {
      const found = await this.#searchBatch(
        batch.map(({ edit }) => edit),
        hooks,
        (activeEdits) => options.onStep?.({ finishedEdits: finished + batch.length - activeEdits, activeEdits }),
      );
      finished += batch.length;
      yield batch.map(({ index }, i) => ({ index, target: found[i] }));
    }
  }

  /** The objective of a batch of edits, and its value and gradient at `delta = 0`. */
  async prepare(
    edits: readonly TokenizedEdit[],
    hooks: readonly HookLayer[],
  ): Promise<{ readonly objective: ValueObjective; readonly atZero: ObjectiveEvaluation }> {
    const sequences = edits.flatMap((edit, e) => objectiveSequences(edit, e, this.#settings));
    const hidden = await this.#hiddenBelow(sequences, hooks);
    const { config } = this.#model;
    const prefixes = hidden.map((rows, s) => rows.subarray(0, sequences[s].lookupIndex * config.dModel));
    const past = await this.#prefixPast(sequences, prefixes);
    const suffixes = hidden.map((rows, s) => rows.subarray(sequences[s].lookupIndex * config.dModel));
    return ValueObjective.create(
      { model: this.#model, firstLayer: valueLayer(this.#settings) + 1, objective: this.#objective },
      edits.length,
      sequences,
      suffixes,
      past,
    );
  }

  async dispose(): Promise<void> {
    for (const program of [this.#below, this.#prefix, this.#objective]) await program?.dispose();
  }

  /**
   * The products over a whole batch spread a number that is none from one edit to all. So a batch with such numbers is
   * halved until the edits that they come from are alone.
   */
  async #searchBatch(
    edits: readonly TokenizedEdit[],
    hooks: readonly HookLayer[],
    onStep: (activeEdits: number) => void,
  ): Promise<ValueTarget[]> {
    const { objective, atZero } = await this.prepare(edits, hooks);
    const parts = objective.parts(this.#settings.templatesPerStep);
    const searches = edits.map(
      (edit, e) => new EditSearch(edit.id, objective.initialOf(e), parts.length, this.#settings),
    );
    const isOfNumbers = await descend(parts, searches, atZero, onStep);
    if (isOfNumbers || edits.length === 1) return searches.map((search) => search.result());
    const half = edits.length >> 1;
    return [
      ...(await this.#searchBatch(edits.slice(0, half), hooks, onStep)),
      ...(await this.#searchBatch(edits.slice(half), hooks, onStep)),
    ];
  }

  /** Block-L output of every sequence: float32 [tokens, dModel] each. */
  async #hiddenBelow(sequences: readonly ObjectiveSequence[], hooks: readonly HookLayer[]): Promise<Float32Array[]> {
    const { config } = this.#model;
    const tokenIds = sequences.flatMap((sequence) => [...sequence.tokenIds]);
    const { hidden } = await this.#below.run({
      ...packSequences(
        config,
        sequences.map(({ tokenIds }) => ({ past: 0, length: tokenIds.length })),
      ),
      ...hookFeeds(hooks, this.#settings.gate, config.dModel),
      tokenIds: tensor('int64', [tokenIds.length], BigInt64Array.from(tokenIds, BigInt)),
    });
    const data = hidden.data as Float32Array;
    let offset = 0;
    return sequences.map(({ tokenIds }) => {
      const start = offset;
      offset += tokenIds.length * config.dModel;
      return data.subarray(start, offset);
    });
  }

  /** Keys and values above L of the tokens before each subject, `past.<part>.<layer>` [batch, past, width]. */
  async #prefixPast(
    sequences: readonly ObjectiveSequence[],
    prefixes: readonly Float32Array[],
  ): Promise<Record<string, Tensor>> {
    const { config } = this.#model;
    const rows = prefixes.reduce((sum, prefix) => sum + prefix.length, 0) / config.dModel;
    const width = config.keyValueHeads * config.dHead;
    const layers = Array.from({ length: config.layers }, (_, l) => l).slice(valueLayer(this.#settings) + 1);
    if (rows === 0 || this.#prefix === undefined) {
      const empty = () => tensor('float32', [sequences.length, 1, width], new Float32Array(sequences.length * width));
      return Object.fromEntries(
        layers.flatMap((l) => ['keys', 'values'].map((part) => [`past.${part}.${l}`, empty()])),
      );
    }
    const hidden = new Float32Array(rows * config.dModel);
    let offset = 0;
    for (const prefix of prefixes) {
      hidden.set(prefix, offset);
      offset += prefix.length;
    }
    const outputs = await this.#prefix.run({
      ...packSequences(
        config,
        sequences.map(({ lookupIndex }) => ({ past: 0, length: lookupIndex })),
      ),
      hidden: tensor('float32', [rows, config.dModel], hidden),
    });
    return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [`past.${name}`, value]));
  }
}

/** Sorts edits by the length of their suffixes, so that a batch's attention rectangle holds little padding. */
function bySuffix(edits: readonly TokenizedEdit[]): { readonly edit: TokenizedEdit; readonly index: number }[] {
  const longest = ({ prompts, targetIds, keep }: TokenizedEdit) =>
    Math.max(
      ...prompts.map((prompt) => prompt.tokenIds.length + targetIds.length - prompt.lookupIndex),
      ...keep.map((prompt) => prompt.tokenIds.length - prompt.lookupIndex),
    );
  return edits.map((edit, index) => ({ edit, index })).sort((a, b) => longest(a.edit) - longest(b.edit));
}

/**
 * Bytes of float32 activations that one row of the objective keeps for the backward pass. In every block above L these
 * are about twelve vectors of the model's width and eight of the MLP's inner width. A share of the logits comes on top.
 */
export function objectiveRowBytes(config: ModelConfig, settings: Pick<Hyperparameters, 'layers'>): number {
  const blocks = blocksAbove({ config }, settings);
  const logitShare = 0.25;
  return 4 * (blocks * (12 * config.dModel + 8 * config.dInner) + logitShare * 4 * config.vocab);
}

function blocksAbove({ config }: Pick<Model, 'config'>, settings: Pick<Hyperparameters, 'layers'>): number {
  return config.layers - valueLayer(settings) - 1;
}

/** Targets side by side: float64 [dModel, edits]. */
export function targetMatrix(targets: readonly Pick<ValueTarget, 'target'>[], dModel: number): Matrix {
  const result = matrix(dModel, targets.length);
  targets.forEach(({ target }, e) => {
    for (let m = 0; m < dModel; m++) result.data[m * targets.length + e] = target[m];
  });
  return result;
}
