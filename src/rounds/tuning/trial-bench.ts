import {
  type Context,
  type Edit,
  type EditState,
  emptyState,
  type Hyperparameters,
  hooksOf,
  type KeyStatistics,
  roundSketch,
} from '../../editing/index.js';
import { canonicalJson } from '../../registry/index.js';
import type { HookableModel } from '../../serving/index.js';
import { type HookMeasures, measureHooks } from '../evaluate-version.js';
import { searchValues } from '../search-values.js';
import { writeValues } from '../solve-round.js';
import type { StoredValue } from '../stored-value.js';
import type { Subject } from '../subjects.js';
import { Workbench, type WorkbenchParts } from '../workbench.js';

/** What trials of different settings share. */
export interface TrialParts extends Omit<WorkbenchParts, 'settings' | 'sketches'> {
  /** Key statistics of all layers that a trial may hook. */
  readonly statistics: readonly KeyStatistics[];
  /** Compiled for exactly these layers, in their order. */
  readonly edited: HookableModel;
  readonly contexts: readonly Context[];
  readonly edits: readonly Edit[];
  /** The subjects of the edits. */
  readonly subjects: readonly Subject[];
  readonly heldOut: readonly (readonly number[])[];
}

/** Told what a trial is doing: its stage and how far it is. */
export type TrialReport = (what: string) => void;

/**
 * Writes one batch of edits with different settings on the base model, and measures each result. Values depend only on
 * layers, learning rate and steps. What is written into a single layer does not depend on the gate's threshold. Both are
 * remembered, so that a trial computes only what its settings change.
 */
export class TrialBench {
  readonly #values = new Map<string, readonly StoredValue[]>();
  readonly #written = new Map<string, EditState>();
  readonly #parts: TrialParts;

  constructor(parts: TrialParts) {
    // Rounded, as every consumer of a version loads them.
    const statistics = parts.statistics.map((layer) => ({ ...layer, sketch: roundSketch(layer.sketch) }));
    this.#parts = { ...parts, statistics };
  }

  /** Writes the batch with these settings, on the base model, and measures it. Nothing is published. */
  async measure(settings: Hyperparameters, report: TrialReport = () => {}): Promise<HookMeasures> {
    const { edited, tokenizer, edits, heldOut, statistics } = this.#parts;
    const state = await this.#stateOf(settings, report);
    const hooks = hooksOf(this.#onAllLayers(state, settings), statistics);
    return measureHooks({ edited, tokenizer, hooks }, edits, heldOut, {
      onProgress: ({ detail, done, total }) => report(`measuring ${detail} ${done}/${total}`),
    });
  }

  async #valuesOf(settings: Hyperparameters, report: TrialReport): Promise<readonly StoredValue[]> {
    const { layers, learningRate, steps } = settings;
    return remember(this.#values, { layers, learningRate, steps }, () =>
      this.#withBench(settings, async (bench) => {
        const { subjects, contexts } = this.#parts;
        report('compiling');
        const onProgress = ({ done }: { readonly done: number }) => report(`values ${done}/${subjects.length}`);
        const values = new Array<StoredValue>(subjects.length);
        for await (const batch of searchValues(bench, subjects, contexts, { onProgress })) {
          for (const { index, value } of batch) values[index] = value;
        }
        return values;
      }),
    );
  }

  async #stateOf(settings: Hyperparameters, report: TrialReport): Promise<EditState> {
    const { layers, learningRate, steps, momentWeight, similarityThreshold } = settings;
    const ofGate = layers.length > 1 ? { similarityThreshold } : {};
    return remember(this.#written, { layers, learningRate, steps, momentWeight, ...ofGate }, async () => {
      const values = await this.#valuesOf(settings, report);
      report('writing');
      return this.#withBench(settings, async (bench) => {
        const { subjects, contexts } = this.#parts;
        return (await writeValues(bench, bench.emptyState, { subjects, values, contexts })).state;
      });
    });
  }

  /** Uses a workbench of the layers that a trial hooks. */
  async #withBench<T>(settings: Hyperparameters, use: (bench: Workbench) => Promise<T>): Promise<T> {
    const statistics = settings.layers.map((layer) => this.#parts.statistics.find((own) => own.layer === layer)!);
    const bench = new Workbench({ ...this.#parts, settings, statistics });
    try {
      return await use(bench);
    } finally {
      await bench.dispose();
    }
  }

  /** The state on all layers that the model is compiled for, with the settings' threshold; other layers have no edits. */
  #onAllLayers(state: EditState, settings: Hyperparameters): EditState {
    const { model, statistics } = this.#parts;
    const empty = emptyState(model.config, { ...settings, layers: statistics.map(({ layer }) => layer) });
    const tau = Math.fround(settings.similarityThreshold);
    return {
      rowIds: state.rowIds,
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
