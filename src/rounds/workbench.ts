import {
  type EditState,
  emptyState,
  type HookLayer,
  type Hyperparameters,
  hooksOf,
  KeyCollection,
  type KeyStatistics,
  type LayerSketch,
  type RoundContext,
  roundSketch,
  segmentStorage,
  ValueSearch,
} from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import type { Model, Tokenizer } from '../model/index.js';
import type { ObjectStore } from '../registry/index.js';
import { type Device, OnnxGemmEngine, rowsPerBatch } from '../runtime/index.js';
import { HookableModel } from '../serving/index.js';
import { contextTemplates } from './context-templates.js';

/** What a workbench is made of. Nothing of it is compiled yet. */
export interface WorkbenchParts {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly modelDigest: string;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly settings: Hyperparameters;
  /** Of every hooked layer; none where no round is written. */
  readonly statistics?: readonly KeyStatistics[];
  /** Of every hooked layer, as a published version holds them; those of the statistics unless given. */
  readonly sketches?: readonly LayerSketch[];
  readonly device?: Device;
  readonly memoryBudgetBytes: number;
}

/** Everything that rounds on one model share. Graphs are compiled when they are first needed. */
export class Workbench {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly modelDigest: string;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly settings: Hyperparameters;
  /** Sketches are rounded as consumers will load them. */
  readonly statistics: readonly KeyStatistics[];
  readonly sketches: readonly LayerSketch[];
  readonly device: Device | undefined;
  readonly memoryBudgetBytes: number;
  readonly engine: OnnxGemmEngine;
  #values: Promise<ValueSearch> | undefined;
  #collection: Promise<KeyCollection> | undefined;
  #edited: Promise<HookableModel> | undefined;
  #contexts: Promise<readonly string[]> | undefined;

  constructor(parts: WorkbenchParts) {
    const { store, modelId, modelDigest, model, tokenizer, settings, statistics = [], device } = parts;
    this.store = store;
    this.modelId = modelId;
    this.modelDigest = modelDigest;
    this.model = model;
    this.tokenizer = tokenizer;
    this.settings = settings;
    this.statistics = statistics.map((layer) => ({ ...layer, sketch: roundSketch(layer.sketch) }));
    this.sketches = parts.sketches ?? this.statistics;
    this.device = device;
    this.memoryBudgetBytes = parts.memoryBudgetBytes;
    this.engine = new OnnxGemmEngine(this.#onDevice);
  }

  /** Seeks value targets. */
  values(): Promise<ValueSearch> {
    this.#values ??= ValueSearch.compile(this.model, this.settings, this.device);
    return this.#values;
  }

  /** Reads keys and block outputs of edits. */
  collection(): Promise<KeyCollection> {
    this.#collection ??= KeyCollection.compile(this.model, this.settings, this.device);
    return this.#collection;
  }

  /** The model as it is served, with and without hooks. */
  edited(): Promise<HookableModel> {
    const { layers, gate } = this.settings;
    this.#edited ??= HookableModel.compile(this.model, { layers, gate, rowsPerBatch, ...this.#onDevice });
    return this.#edited;
  }

  /** The templates that every edit prompt is put into: stored ones, else written by the model now and stored. */
  contexts(): Promise<readonly string[]> {
    const { contextTokens, seed } = this.settings;
    const { store, modelId, modelDigest, tokenizer } = this;
    const edited: Pick<HookableModel, 'generate'> = {
      generate: async (...request) => (await this.edited()).generate(...request),
    };
    this.#contexts ??= contextTemplates({ store, modelId, modelDigest, edited, tokenizer, contextTokens, seed });
    return this.#contexts;
  }

  /** The state before the first round. */
  get emptyState(): EditState {
    return emptyState(this.model.config, this.settings);
  }

  hooks(state: EditState): HookLayer[] {
    return hooksOf(state, this.sketches);
  }

  /** @throws {InvalidInputError} without key statistics */
  async roundContext(): Promise<RoundContext> {
    const { settings, statistics, engine } = this;
    if (statistics.length === 0) {
      throw new InvalidInputError('writing a round', 'key statistics of every hooked layer', 'none');
    }
    const { dInner, dModel } = this.model.config;
    const storage = segmentStorage(dInner, dModel);
    return { settings, collection: await this.collection(), statistics, engine, rowsPerBatch, storage };
  }

  async dispose(): Promise<void> {
    for (const compiled of [this.#values, this.#collection, this.#edited]) await (await compiled)?.dispose();
    await this.engine.dispose();
  }

  get #onDevice(): { readonly device?: Device } {
    return this.device ? { device: this.device } : {};
  }
}
