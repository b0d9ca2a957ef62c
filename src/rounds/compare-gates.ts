import { comparesKeys, type Edit, type EditState, fillTemplate, type GateKind, gateKinds } from '../editing/index.js';
import { type GateSeparation, measureDrift, measureEdits, summarise } from '../evaluation/index.js';
import type { Listener } from '../progress.js';
import { HookableModel } from '../serving/index.js';
import { evenly } from './evenly.js';
import type { ValidationRecord } from './records.js';
import { withSequenceThresholds } from './sequence-thresholds.js';
import type { Workbench } from './workbench.js';

/** What one gate did to the edits. */
type GateRow = ValidationRecord['gates'][number];

/** Edits that the comparison looks at. */
const comparedEdits = 40;

/**
 * The same weights behind each gate. For the sequence gate, alpha is what its own update would have made of these edits:
 * `min(2.2, min over prompts of max_i z_i)` with the final weights.
 */
export async function compareGates(
  bench: Workbench,
  state: EditState,
  edits: readonly Edit[],
  heldOut: readonly (readonly number[])[],
  listener: Listener = {},
): Promise<GateRow[]> {
  const sample = evenly(edits, comparedEdits);
  const rows: GateRow[] = [];
  for (const gate of gateKinds) {
    listener.onProgress?.({
      stage: 'compare',
      done: rows.length,
      total: gateKinds.length,
      unit: 'gates',
      detail: gate,
    });
    rows.push(await measureGate(bench, state, sample, heldOut, gate));
  }
  listener.onProgress?.({ stage: 'compare', done: rows.length, total: gateKinds.length, unit: 'gates' });
  return rows;
}

async function measureGate(
  bench: Workbench,
  state: EditState,
  edits: readonly Edit[],
  heldOut: readonly (readonly number[])[],
  gate: GateKind,
): Promise<GateRow> {
  const { model, tokenizer, settings } = bench;
  const { layers } = settings;
  const compared = { model, tokenizer, settings, ...deviceOf(bench) };
  const own = gate === bench.settings.gate;
  const edited = own
    ? await bench.edited()
    : await HookableModel.compile(bench.model, { layers, gate, ...deviceOf(bench) });
  const stored = bench.hooks(state);
  const hooks =
    gate === 'sequence' && !own ? await withSequenceThresholds({ ...compared, hooks: stored, edits }) : stored;
  const summary = summarise(await measureEdits(edited, bench.tokenizer, edits, hooks));
  const drift = heldOut.length > 0 ? (await measureDrift(edited, heldOut, hooks)).drift : null;
  if (!own) await edited.dispose();
  return {
    gate,
    reliability: summary.reliability,
    generality: summary.generality,
    locality: summary.locality,
    sameSubjectLocality: summary.sameSubjectLocality,
    perplexityRatio: drift?.perplexityRatio ?? null,
  };
}

/**
 * How far apart the signal of a gate that compares keys is on edited prompts, paraphrases, neighbours and ordinary text: the
 * strongest token of each prompt, every token of the text. Undefined for other gates.
 */
export async function gateSeparation(
  bench: Workbench,
  state: EditState,
  edits: readonly Edit[],
  textStrengths: readonly number[],
): Promise<GateSeparation | undefined> {
  if (!comparesKeys(bench.settings.gate)) return undefined;
  const sample = evenly(edits, comparedEdits);
  const edited = await bench.edited();
  const strongest = async (prompts: readonly string[]) => {
    if (prompts.length === 0) return [];
    const sequences = prompts.map((prompt) => bench.tokenizer.encode(prompt).ids);
    const compared = await edited.compare(sequences, bench.hooks(state));
    return compared.map(({ strengths }) => strengths.reduce((a, b) => Math.max(a, b)));
  };
  return {
    edit: await strongest(sample.map((edit) => fillTemplate(edit.prompt, edit.subject))),
    paraphrase: await strongest(sample.flatMap((edit) => edit.paraphrases)),
    neighborhood: await strongest(sample.flatMap((edit) => edit.neighborhood)),
    text: textStrengths,
    threshold: bench.settings.similarityThreshold,
  };
}

function deviceOf(bench: Workbench) {
  return bench.device ? { device: bench.device } : {};
}
