import { Graph, gather } from '../graph/index.js';
import { type Matrix, matrix } from '../linalg/index.js';
import { declarePacking, embedTokens, type Model, packSequences, runBlocks, type SiteVisitor } from '../model/index.js';
import { compile, type Device, type Program } from '../runtime/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import { type HookLayer, type HookMode, hookFeeds, hookLayers } from './hook.js';
import { type Hyperparameters, valueLayer } from './hyperparameters.js';
import { batchByRows } from './micro-batch.js';
import type { SubjectPrompt, TokenizedEdit } from './prompts.js';

/** Keys and block outputs of a batch of edits in the hooked model. */
export interface CollectedKeys {
  /** K by hooked layer: float64 [dInner, edits], the mean over templates. */
  readonly keys: ReadonlyMap<number, Matrix>;
  /** Z: float64 [dModel, edits], output of block L at the subject of the bare prompt. */
  readonly hidden: Matrix;
}

/** Runs prompts through the hooked blocks and reads keys, block outputs and gates at the subjects. */
export class KeyCollection {
  readonly #model: Model;
  readonly #settings: Hyperparameters;
  readonly #program: Program;

  private constructor(model: Model, settings: Hyperparameters, program: Program) {
    this.#model = model;
    this.#settings = settings;
    this.#program = program;
  }

  /** @param compileGraph makes the program; measurements pass their own */
  static async compile(
    model: Model,
    settings: Hyperparameters,
    device?: Device,
    compileGraph: typeof compile = compile,
  ): Promise<KeyCollection> {
    const graph = new Graph();
    const packing = declarePacking(graph, model.config);
    const tokenIds = graph.input('tokenIds', 'int64', ['rows']);
    const lookupRows = graph.input('lookupRows', 'int64', ['lookups']);
    const hook = hookLayers(graph, packing, settings.layers, settings.gate, (layer, { strength }) => {
      if (strength) graph.output(`strength.${layer}`, strength);
    });
    const visit: SiteVisitor = (site, layer, value) => {
      if (site === 'mlp.inner' && settings.layers.includes(layer)) {
        graph.output(`keys.${layer}`, gather(value, lookupRows));
      }
      return hook(site, layer, value);
    };
    const to = valueLayer(settings) + 1;
    const hidden = runBlocks(model, packing, embedTokens(model, packing, tokenIds), { from: 0, to, visit });
    graph.output('hidden', gather(hidden, lookupRows));
    return new KeyCollection(model, settings, await compileGraph(graph, device ? { device } : {}));
  }

  /**
   * Keys and block outputs of edits. A key is the mean of two groups weighted equally: the bare prompt, and the mean
   * of the prefixed ones (arXiv 2403.05330, algorithm 1; MEMIT's `compute_ks`).
   */
  async collect(
    edits: readonly TokenizedEdit[],
    hooks: readonly HookLayer[],
    rowsPerBatch: number,
    modeOf?: (layer: number) => HookMode,
  ): Promise<CollectedKeys> {
    const { dInner, dModel } = this.#model.config;
    const keys = new Map(this.#settings.layers.map((layer) => [layer, matrix(dInner, edits.length)]));
    const hidden = matrix(dModel, edits.length);
    let first = 0;
    for (const batch of batchByRows(edits, (edit) => sum(edit.prompts.map((p) => p.tokenIds.length)), rowsPerBatch)) {
      const prompts = batch.flatMap((edit) => edit.prompts);
      const outputs = await this.#run(prompts, hooks, modeOf);
      const weights = batch.flatMap((edit, e) => templateWeights(edit.prompts.length).map((weight) => ({ weight, e })));
      for (const layer of this.#settings.layers) {
        addColumns(keys.get(layer)!, first, outputs[`keys.${layer}`].data as Float32Array, weights);
      }
      const bareOnly = batch.flatMap((edit, e) => edit.prompts.map((_, p) => ({ weight: p === 0 ? 1 : 0, e })));
      addColumns(hidden, first, outputs.hidden.data as Float32Array, bareOnly);
      first += batch.length;
    }
    return { keys, hidden };
  }

  /**
   * The strongest gate signal within each prompt, by hooked layer.
   *
   * @returns for each layer, one number per prompt
   */
  async strongest(
    prompts: readonly SubjectPrompt[],
    hooks: readonly HookLayer[],
    rowsPerBatch: number,
    modeOf?: (layer: number) => HookMode,
  ): Promise<Map<number, number[]>> {
    const result = new Map<number, number[]>(this.#settings.layers.map((layer) => [layer, []]));
    for (const batch of batchByRows(prompts, (prompt) => prompt.tokenIds.length, rowsPerBatch)) {
      const outputs = await this.#run(batch, hooks, modeOf);
      for (const layer of this.#settings.layers) {
        const strength = outputs[`strength.${layer}`].data as Float32Array;
        let row = 0;
        for (const { tokenIds } of batch) {
          result.get(layer)!.push(Math.max(...strength.subarray(row, row + tokenIds.length)));
          row += tokenIds.length;
        }
      }
    }
    return result;
  }

  dispose(): Promise<void> {
    return this.#program.dispose();
  }

  #run(
    prompts: readonly SubjectPrompt[],
    hooks: readonly HookLayer[],
    modeOf?: (layer: number) => HookMode,
  ): Promise<Record<string, Tensor>> {
    const { config } = this.#model;
    const tokenIds = prompts.flatMap((prompt) => [...prompt.tokenIds]);
    const lookupRows = new BigInt64Array(prompts.length);
    let row = 0;
    prompts.forEach((prompt, i) => {
      lookupRows[i] = BigInt(row + prompt.lookupIndex);
      row += prompt.tokenIds.length;
    });
    return this.#program.run({
      ...packSequences(
        config,
        prompts.map((prompt) => ({ past: 0, length: prompt.tokenIds.length })),
      ),
      ...hookFeeds(hooks, this.#settings.gate, config.dModel, modeOf),
      tokenIds: tensor('int64', [tokenIds.length], BigInt64Array.from(tokenIds, BigInt)),
      lookupRows: tensor('int64', [prompts.length], lookupRows),
    });
  }
}

/** The bare prompt counts as much as all prefixed ones together. */
function templateWeights(templates: number): number[] {
  if (templates === 1) return [1];
  return Array.from({ length: templates }, (_, t) => (t === 0 ? 0.5 : 0.5 / (templates - 1)));
}

/** `into[:, first + e] += weight * row`, row by row of `rows` [n, width]. */
function addColumns(
  into: Matrix,
  first: number,
  rows: Float32Array,
  weights: readonly { readonly weight: number; readonly e: number }[],
): void {
  weights.forEach(({ weight, e }, row) => {
    if (weight === 0) return;
    for (let i = 0; i < into.rows; i++) into.data[i * into.columns + first + e] += weight * rows[row * into.rows + i];
  });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
