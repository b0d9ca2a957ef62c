import {
  type Edit,
  type EditState,
  emptyState,
  type Hyperparameters,
  hooksOf,
  KeyCollection,
  type KeyStatistics,
  roundSketch,
  segmentStorage,
  type TokenizedEdit,
  targetMatrix,
  ValueSearch,
  type ValueTarget,
  writeRound,
} from '../../editing/index.js';
import type { Model, Tokenizer } from '../../model/index.js';
import { canonicalJson } from '../../registry/index.js';
import type { Device, OnnxGemmEngine } from '../../runtime/index.js';
import { rowsPerBatch } from '../../runtime/index.js';
import type { HookableModel } from '../../serving/index.js';
import { type HookMeasures, measureHooks } from '../evaluate-version.js';

/** What trials of different settings share. */
export interface TrialParts {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** Of all layers that a trial may hook. */
  readonly statistics: readonly KeyStatistics[];
  /** Compiled for just these layers, in their order. */
  readonly edited: HookableModel;
  readonly tokenized: readonly TokenizedEdit[];
  readonly edits: readonly Edit[];
  readonly heldOut: readonly (readonly number[])[];
  readonly engine: OnnxGemmEngine;
  readonly device: Device;
  readonly memoryBudgetBytes: number;
}

/** What a trial is doing: a stage, and how far it is. */
export type TrialReport = (what: string) => void;

/**
 * Writes one batch of edits with ever other settings, and measures each. Values depend on layers, learning rate and
 * steps alone (nothing was written before), and what is written does not depend on where a single layer's gate opens:
 * both are kept, so that a trial costs only what its settings change.
 */
export class TrialBench {
  private readonly values = new Map<string, readonly ValueTarget[]>();
  private readonly written = new Map<string, EditState>();
  private readonly parts: TrialParts;

  constructor(parts: TrialParts) {
    // As consumers of a published version would load them.
    const statistics = parts.statistics.map((layer) => ({ ...layer, sketch: roundSketch(layer.sketch) }));
    this.parts = { ...parts, statistics };
  }

  /** Writes the batch with these settings, on the base model, and measures it. Nothing is published. */
  async measure(settings: Hyperparameters, report: TrialReport = () => {}): Promise<HookMeasures> {
    const { edited, tokenizer, edits, heldOut, statistics } = this.parts;
    const state = await this.writtenState(settings, report);
    const hooks = hooksOf(this.onAllLayers(state, settings), statistics);
    return measureHooks({ edited, tokenizer, hooks }, edits, heldOut, {
      onProgress: ({ detail, done, total }) => report(`measuring ${detail} ${done}/${total}`),
    });
  }

  private async valueTargets(settings: Hyperparameters, report: TrialReport): Promise<readonly ValueTarget[]> {
    const { layers, learningRate, steps } = settings;
    return remember(this.values, { layers, learningRate, steps }, async () => {
      const { model, device, tokenized, memoryBudgetBytes } = this.parts;
      const hooks = this.hooksBefore(settings);
      report('compiling');
      const search = await ValueSearch.compile(model, settings, device);
      const onStep = ({ finishedEdits }: { readonly finishedEdits: number }) =>
        report(`values ${finishedEdits}/${tokenized.length}`);
      try {
        return await search.search(tokenized, hooks, { memoryBudgetBytes, onStep });
      } finally {
        await search.dispose();
      }
    });
  }

  private async writtenState(settings: Hyperparameters, report: TrialReport): Promise<EditState> {
    const { layers, learningRate, steps, momentWeight, similarityThreshold } = settings;
    const ofGate = layers.length > 1 ? { similarityThreshold } : {};
    return remember(this.written, { layers, learningRate, steps, momentWeight, ...ofGate }, async () => {
      const targets = await this.valueTargets(settings, report);
      const { model, device, tokenized, engine, statistics } = this.parts;
      const { dInner, dModel } = model.config;
      report('writing');
      const collection = await KeyCollection.compile(model, settings, device);
      const storage = segmentStorage(dInner, dModel);
      const context = { settings, collection, statistics, engine, rowsPerBatch, storage };
      try {
        const before = emptyState(model.config, settings);
        const { state } = await writeRound(context, before, tokenized, targetMatrix(targets, dModel));
        return state;
      } finally {
        await collection.dispose();
      }
    });
  }

  private hooksBefore(settings: Hyperparameters) {
    return hooksOf(emptyState(this.parts.model.config, settings), this.parts.statistics);
  }

  /** With the thresholds of the settings, and a memory without edits for every other layer of the model under trial. */
  private onAllLayers(state: EditState, settings: Hyperparameters): EditState {
    const { model, statistics } = this.parts;
    const empty = emptyState(model.config, { ...settings, layers: statistics.map(({ layer }) => layer) });
    const tau = Math.fround(settings.similarityThreshold);
    return {
      editIds: state.editIds,
      layers: empty.layers.map((none) => {
        const hooked = state.layers.find(({ layer }) => layer === none.layer);
        return hooked === undefined ? none : { ...hooked, thresholds: hooked.thresholds.map(() => tau) };
      }),
    };
  }
}

async function remember<T>(known: Map<string, T>, inputs: unknown, compute: () => Promise<T>): Promise<T> {
  const key = canonicalJson(inputs);
  const found = known.get(key);
  if (found !== undefined) return found;
  const computed = await compute();
  known.set(key, computed);
  return computed;
}
