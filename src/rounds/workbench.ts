import {
  type Context,
  type EditState,
  emptyState,
  type HookLayer,
  type Hyperparameters,
  hooksOf,
  isLargeModel,
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

/** What a workbench is made of; nothing is compiled yet. */
export interface WorkbenchParts {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly modelDigest: string;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly settings: Hyperparameters;
  /** Key statistics of every hooked layer; left out where no round is written. */
  readonly statistics?: readonly KeyStatistics[];
  /** Sketches of every hooked layer, as published versions hold them; those of the statistics unless given. */
  readonly sketches?: readonly LayerSketch[];
  readonly device?: Device;
  readonly memoryBudgetBytes: number;
  /** The model as it is served, where it is compiled already: who compiled it frees it. */
  readonly edited?: HookableModel;
}

/**
 * What all rounds on one model share. Graphs are compiled when they are first needed. Those of a model that is too large to be held
 * wide are held for one purpose at a time: what runs with them keeps its memory as long as they live.
 */
export class Workbench {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly modelDigest: string;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly settings: Hyperparameters;
  /** Their sketches are rounded, as every consumer of a version loads them. */
  readonly statistics: readonly KeyStatistics[];
  readonly sketches: readonly LayerSketch[];
  readonly device: Device | undefined;
  readonly memoryBudgetBytes: number;
  readonly engine: OnnxGemmEngine;
  readonly #values: LazyPrograms<ValueSearch>;
  readonly #collection: LazyPrograms<KeyCollection>;
  readonly #given: HookableModel | undefined;
  readonly #edited: LazyPrograms<HookableModel>;
  readonly #contexts: Lazy<readonly Context[]>;
  readonly #holdsOneAtATime: boolean;

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
    const onDevice = device ? { device } : {};
    const { layers, gate, contextTokens, chatContexts, seed } = settings;
    this.engine = new OnnxGemmEngine(onDevice);
    this.#values = new LazyPrograms(() => ValueSearch.compile(model, settings, device));
    this.#collection = new LazyPrograms(() => KeyCollection.compile(model, settings, device));
    this.#given = parts.edited;
    this.#holdsOneAtATime = isLargeModel(model);
    this.#edited = new LazyPrograms(() => HookableModel.compile(model, { layers, gate, rowsPerBatch, ...onDevice }));
    const edited: Pick<HookableModel, 'generate'> = {
      generate: async (...request) => (await this.edited()).generate(...request),
    };
    const templates = { store, modelId, modelDigest, edited, tokenizer, contextTokens, chatContexts, seed };
    this.#contexts = new Lazy(() => contextTemplates(templates));
  }

  /** The search for the values of edits. */
  values(): Promise<ValueSearch> {
    return this.#alone(this.#values);
  }

  /** Reads keys and block outputs of edits. */
  collection(): Promise<KeyCollection> {
    return this.#alone(this.#collection);
  }

  /** The model as it is served, with and without hooks. */
  edited(): Promise<HookableModel> {
    return this.#given === undefined ? this.#alone(this.#edited) : Promise.resolve(this.#given);
  }

  /** The contexts that every edit prompt is put into. The model writes them where they are not stored yet. */
  contexts(): Promise<readonly Context[]> {
    return this.#contexts.get();
  }

  /** The state before the first round. */
  get emptyState(): EditState {
    return emptyState(this.model.config, this.settings);
  }

  /** The hooks of a state, one for each hooked layer. */
  hooks(state: EditState): HookLayer[] {
    return hooksOf(state, this.sketches);
  }

  /** What `writeRound` works with. @throws {InvalidInputError} without key statistics */
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
    for (const lazy of this.#programs) await lazy.free();
    await this.engine.dispose();
  }

  get #programs(): readonly LazyPrograms<ValueSearch | KeyCollection | HookableModel>[] {
    return [this.#values, this.#collection, this.#edited];
  }

  async #alone<T extends ValueSearch | KeyCollection | HookableModel>(wanted: LazyPrograms<T>): Promise<T> {
    if (this.#holdsOneAtATime) {
      for (const other of this.#programs) if (other !== wanted) await other.free();
    }
    return wanted.get();
  }
}

/** Makes something when it is first asked for. If that fails, the next call tries again. */
class Lazy<T> {
  readonly #make: () => Promise<T>;
  #making: Promise<T> | undefined;

  constructor(make: () => Promise<T>) {
    this.#make = make;
  }

  get(): Promise<T> {
    this.#making ??= this.#make().catch((error: unknown) => {
      this.#making = undefined;
      throw error;
    });
    return this.#making;
  }

  /** Forgets what was made, so that the next call makes it anew. Whoever asked for what failed has had its error. */
  protected async take(): Promise<T | undefined> {
    const making = this.#making;
    this.#making = undefined;
    return making?.catch(() => undefined);
  }
}

/** Compiled programs. */
class LazyPrograms<T extends { dispose(): Promise<void> }> extends Lazy<T> {
  async free(): Promise<void> {
    await (await this.take())?.dispose();
  }
}
