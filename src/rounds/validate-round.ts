import type { Edit, EditState } from '../editing/index.js';
import { decodeEdits, type LiveAnswer, mean, measureEdits } from '../evaluation/index.js';
import type { Listener } from '../progress.js';
import { type HookMeasures, measureHooks } from './evaluate-version.js';
import type { Workbench } from './workbench.js';

/** What a version did to its own edits, to earlier ones, and to ordinary text. */
export interface Validation extends HookMeasures {
  /** Reliability of the edits of all earlier rounds that are still active; null where there are none. */
  readonly retention: number | null;
  /** Greedy text of the base model, edit by edit. */
  readonly before: readonly LiveAnswer[];
}

/** An earlier edit, as far as its retention is concerned. */
export type EarlierEdit = Pick<Edit, 'id' | 'subject' | 'prompt' | 'targetNew'>;

/** Earlier edits looked at per validation, spread evenly over the rounds. */
const retentionSample = 100;

/**
 * Measures a state by all protocols, always against the base model.
 *
 * @param heldOut token sequences of ordinary text
 */
export async function validateRound(
  bench: Workbench,
  state: EditState,
  edits: readonly Edit[],
  earlier: readonly EarlierEdit[],
  heldOut: readonly (readonly number[])[],
  listener: Listener = {},
): Promise<Validation> {
  const { tokenizer } = bench;
  const edited = await bench.edited();
  const subject = { edited, tokenizer, hooks: bench.hooks(state) };
  const measured = await measureHooks(subject, edits, heldOut, listener);
  const before = await decodeEdits(edited, tokenizer, edits);
  const sampled = evenly(earlier, retentionSample).map((edit) => ({
    ...edit,
    paraphrases: [],
    neighborhood: [],
    keep: [],
  }));
  const retained = await measureEdits(edited, tokenizer, sampled, subject.hooks, (done, total) =>
    listener.onProgress?.({ stage: 'validate', done, total, unit: 'prompts', detail: 'earlier edits' }),
  );
  return { ...measured, before, retention: mean(retained.map((m) => m.reliability)) };
}

/** At most `count` items, evenly spread. */
export function evenly<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]);
}
