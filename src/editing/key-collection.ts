import { Graph, gather } from '../graph/index.js';
import { type Matrix, matrix } from '../linalg/index.js';
import { declarePacking, embedTokens, type Model, packSequences, runBlocks, type SiteVisitor } from '../model/index.js';
import { compile, type Device, type Program } from '../runtime/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import { type HookLayer, type HookMode, hookFeeds, hookLayers } from './hook.js';
import { type Hyperparameters, valueLayer } from './hyperparameters.js';
import { batchByRows } from './micro-batch.js';

/** A text, and the position in it whose key is read. */
export interface KeyText {
  readonly tokenIds: readonly number[];
  readonly lookupIndex: number;
}

/** One key: the weighted mean of the keys in some texts. */
export interface KeySource {
  readonly texts: readonly (KeyText & { readonly weight: number })[];
}

/** Keys and block outputs in the hooked model. */
export interface CollectedKeys {
  /** K by hooked layer: float64 [dInner, sources]. */
  readonly keys: ReadonlyMap<number, Matrix>;
  /** Z: float64 [dModel, sources], output of block L at the lookup of each source's first text. */
  readonly hidden: Matrix;
}

/** Runs prompts through the hooked blocks and reads keys, block outputs and gates at the subjects. */
export class KeyCollection {
  /** Tokens that the model knows. */
  readonly vocab: number;
  readonly #model: Model;
  readonly #settings: Hyperparameters;
  readonly #program: Program;

  private constructor(model: Model, settings: Hyperparameters, program: Program) {
    this.vocab = model.config.vocab;
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

  /** Keys and block outputs, one column per source. */
  async collect(
    sources: readonly KeySource[],
    hooks: readonly HookLayer[],
    rowsPerBatch: number,
    modeOf?: (layer: number) => HookMode,
  ): Promise<CollectedKeys> {
    const { dInner, dModel } = this.#model.config;
    const keys = new Map(this.#settings.layers.map((layer) => [layer, matrix(dInner, sources.length)]));
    const hidden = matrix(dModel, sources.length);
    const texts = sources.flatMap((source, column) =>
      source.texts.map((text, t) => ({ ...text, column, firstWeight: t === 0 ? 1 : 0 })),
    );
    for (const batch of batchByRows(texts, ({ tokenIds }) => tokenIds.length, rowsPerBatch)) {
      const outputs = await this.#run(batch, hooks, modeOf);
      for (const layer of this.#settings.layers) {
        addColumns(keys.get(layer)!, outputs[`keys.${layer}`].data as Float32Array, batch);
      }
      const firsts = batch.map(({ column, firstWeight: weight }) => ({ column, weight }));
      addColumns(hidden, outputs.hidden.data as Float32Array, firsts);
    }
    return { keys, hidden };
  }

  /**
   * The strongest gate signal within each text, by hooked layer.
   *
   * @returns for each layer, one number per text
   */
  async strongest(
    texts: readonly KeyText[],
    hooks: readonly HookLayer[],
    rowsPerBatch: number,
    modeOf?: (layer: number) => HookMode,
  ): Promise<Map<number, number[]>> {
    const result = new Map<number, number[]>(this.#settings.layers.map((layer) => [layer, []]));
    for (const batch of batchByRows(texts, ({ tokenIds }) => tokenIds.length, rowsPerBatch)) {
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
    texts: readonly KeyText[],
    hooks: readonly HookLayer[],
    modeOf?: (layer: number) => HookMode,
  ): Promise<Record<string, Tensor>> {
    const { config } = this.#model;
    const tokenIds = texts.flatMap((text) => [...text.tokenIds]);
    const lookupRows = new BigInt64Array(texts.length);
    let row = 0;
    texts.forEach((text, i) => {
      lookupRows[i] = BigInt(row + text.lookupIndex);
      row += text.tokenIds.length;
    });
    return this.#program.run({
      ...packSequences(
        config,
        texts.map((text) => ({ past: 0, length: text.tokenIds.length })),
      ),
      ...hookFeeds(hooks, this.#settings.gate, config.dModel, modeOf),
      tokenIds: tensor('int64', [tokenIds.length], BigInt64Array.from(tokenIds, BigInt)),
      lookupRows: tensor('int64', [texts.length], lookupRows),
    });
  }
}

/** `into[:, column] += weight * row`, row by row of `rows` [n, width]. */
function addColumns(
  into: Matrix,
  rows: Float32Array,
  places: readonly { readonly column: number; readonly weight: number }[],
): void {
  places.forEach(({ column, weight }, row) => {
    if (weight === 0) return;
    for (let i = 0; i < into.rows; i++) into.data[i * into.columns + column] += weight * rows[row * into.rows + i];
  });
}
