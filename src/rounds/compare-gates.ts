/** @file Compares the kinds of gate on the same weights, for a round's report. */
import {
  comparesKeys,
  type Edit,
  type EditState,
  type GateKind,
  gateKinds,
  type HookLayer,
  type Hyperparameters,
} from '../editing/index.js';
import {
  type EditMeasurement,
  type GateSeparation,
  measureDrift,
  measureEdits,
  summarise,
} from '../evaluation/index.js';
import type { Listener } from '../progress.js';
import { HookableModel } from '../serving/index.js';
import { evenly } from './evenly.js';
import type { ValidationRecord } from './records.js';
import { withSequenceThresholds } from './sequence-thresholds.js';
import type { Workbench } from './workbench.js';

/** What one kind of gate does to the edits. */
type GateRow = ValidationRecord['gates'][number];

/** On what gates are compared. */
export interface GateComparison {
  readonly state: EditState;
  readonly edits: readonly Edit[];
  /** Token sequences of ordinary text, for drift; none to leave it out. */
  readonly heldOut: readonly (readonly number[])[];
}

/** At most so many edits are measured, for every gate costs a pass over all their prompts. */
const comparedEdits = 40;

/**
 * Measures the same weights behind each kind of gate. The sequence gate's threshold is computed for these weights, see
 * {@link withSequenceThresholds}; all other thresholds are those of the state.
 */
export async function compareGates(
  bench: Workbench,
  comparison: GateComparison,
  listener: Listener = {},
): Promise<GateRow[]> {
  const sample = { ...comparison, edits: evenly(comparison.edits, comparedEdits) };
  const progress = { stage: 'compare', total: gateKinds.length, unit: 'gates' } as const;
  const rows: GateRow[] = [];
  for (const gate of gateKinds) {
    listener.onProgress?.({ ...progress, done: rows.length, detail: gate });
    rows.push(await measureGate(bench, sample, gate));
  }
  listener.onProgress?.({ ...progress, done: rows.length });
  return rows;
}

async function measureGate(
  bench: Workbench,
  { state, edits, heldOut }: GateComparison,
  gate: GateKind,
): Promise<GateRow> {
  const { model, tokenizer, settings } = bench;
  const stored = bench.hooks(state);
  const measure = async (edited: HookableModel, hooks: readonly HookLayer[]): Promise<GateRow> => {
    const summary = summarise(await measureEdits(edited, tokenizer, edits, hooks));
    const drift = heldOut.length > 0 ? (await measureDrift(edited, heldOut, hooks)).drift : null;
    const { reliability, generality, locality, sameSubjectLocality } = summary;
    const ratio = drift?.perplexityRatio ?? Number.NaN;
    const perplexityRatio = Number.isFinite(ratio) ? ratio : null;
    return { gate, reliability, generality, locality, sameSubjectLocality, perplexityRatio };
  };
  if (gate === settings.gate) return measure(await bench.edited(), stored);
  const device = bench.device ? { device: bench.device } : {};
  const edited = await HookableModel.compile(model, { layers: settings.layers, gate, ...device });
  try {
    const request = { model, tokenizer, settings, edits, hooks: stored, ...device };
    return await measure(edited, gate === 'sequence' ? await withSequenceThresholds(request) : stored);
  } finally {
    await edited.dispose();
  }
}

/**
 * How far apart the signal of a gate that compares keys is on edit prompts, test paraphrases, neighbours and ordinary text. Of
 * a prompt only the strongest token counts, of the text every token; signals that are no numbers are left out. Null for gates
 * that compare no keys.
 *
 * @param textStrengths the gate's signal on every token of the text
 */
export function gateSeparation(
  { gate, similarityThreshold: threshold }: Hyperparameters,
  measurements: readonly EditMeasurement[],
  textStrengths: readonly number[],
): GateSeparation | null {
  if (!comparesKeys(gate)) return null;
  const all = measurements.flatMap(({ signals }) => signals ?? []);
  return {
    edit: all.map(({ edit }) => edit).filter(Number.isFinite),
    paraphrase: all.flatMap(({ paraphrase }) => paraphrase).filter(Number.isFinite),
    neighborhood: all.flatMap(({ neighborhood }) => neighborhood).filter(Number.isFinite),
    text: textStrengths.filter(Number.isFinite),
    threshold,
  };
}
