/** @file Measures a version, an export or the base model on any edits, always against the frozen base model. */
import type { Edit, HookLayer } from '../editing/index.js';
import {
  askInChat,
  type Drift,
  decodeEdits,
  type EditMeasurement,
  type EditSummary,
  type LiveAnswer,
  mean,
  measureDrift,
  measureEdits,
  summarise,
} from '../evaluation/index.js';
import type { Tokenizer } from '../model/index.js';
import { describing, type Listener } from '../progress.js';
import type { HookableModel, MeasuredModel } from '../serving/index.js';

/** A model with the hooks that are measured. */
export interface HookedSubject<M extends MeasuredModel = HookableModel> {
  readonly edited: M;
  readonly tokenizer: Tokenizer;
  /** One for each layer that `edited` was compiled for; none for the base model or an export. */
  readonly hooks: readonly HookLayer[];
}

/** What hooks do to edits and to ordinary text. */
export interface HookMeasures {
  /** Token-accuracy and probability protocols. */
  readonly summary: EditSummary;
  /** Share of edits that greedy decoding says. */
  readonly said: number | null;
  /** Null without held-out text. */
  readonly drift: Drift | null;
  /** One for each edit. */
  readonly measurements: readonly EditMeasurement[];
  /** Greedy text after each edit's prompt. */
  readonly answers: readonly LiveAnswer[];
  /** The gate's signal on every token of the held-out text. */
  readonly textStrengths: readonly number[];
}

/** Measures of a version, whose answers are asked for in chat too, beside the base model's own answers. */
export interface VersionEvaluation extends HookMeasures {
  /** Share of edits whose new target is said in chat; null where none was asked there. */
  readonly inChat: number | null;
  /** The base model's greedy text after each edit's prompt. */
  readonly baseAnswers: readonly LiveAnswer[];
  /** Share of edits that the base model says already. */
  readonly baseSaid: number | null;
}

/**
 * Measures hooks on edits by the token-accuracy and the probability protocol, by live decoding, and on ordinary text.
 *
 * @param heldOut token sequences of ordinary text; without any, drift is not measured
 */
export async function measureHooks(
  { edited, tokenizer, hooks }: HookedSubject<MeasuredModel>,
  edits: readonly Edit[],
  heldOut: readonly (readonly number[])[],
  listener: Listener = {},
): Promise<HookMeasures> {
  const report = (detail: string, unit: string) => (done: number, total: number) =>
    listener.onProgress?.({ stage: 'validate', done, total, unit, detail });
  const measurements = await measureEdits(edited, tokenizer, edits, hooks, report('edits', 'prompts'));
  const answers = await decodeEdits(edited, tokenizer, edits, hooks);
  const text = report('ordinary text', 'sequences');
  const measured = heldOut.length === 0 ? undefined : await measureDrift(edited, heldOut, hooks, text);
  return {
    summary: summarise(measurements),
    said: saidShares(answers).said,
    drift: measured?.drift ?? null,
    measurements,
    answers,
    textStrengths: measured?.strengths ?? [],
  };
}

/** {@link measureHooks}, answers in chat, and the base model's own answers for comparison. */
export async function evaluateVersion(
  subject: HookedSubject<MeasuredModel>,
  edits: readonly Edit[],
  heldOut: readonly (readonly number[])[],
  listener: Listener = {},
): Promise<VersionEvaluation> {
  const measures = await measureHooks(subject, edits, heldOut, listener);
  const { edited, tokenizer, hooks } = subject;
  const chats = await askInChat(edited, tokenizer, edits, hooks);
  const answers = measures.answers.map((answer, e) => ({ ...answer, ...(chats[e] && { chat: chats[e] }) }));
  const baseAnswers = await decodeEdits(edited, tokenizer, edits);
  const baseSaid = saidShares(baseAnswers).said;
  return { ...measures, ...saidShares(answers), answers, baseAnswers, baseSaid };
}

/** A published version and an export of it, by the same metrics. */
export interface ExportValidation {
  /** The version as hookline serves it. */
  readonly served: HookMeasures;
  readonly exported: HookMeasures;
}

/**
 * Measures an export beside the version that it was made of, on the same edits and the same ordinary text.
 *
 * @param heldOut token sequences of ordinary text; without any, drift is not measured
 */
export async function validateExport(
  subjects: { readonly served: HookedSubject; readonly exported: HookedSubject<MeasuredModel> },
  edits: readonly Edit[],
  heldOut: readonly (readonly number[])[],
  listener: Listener = {},
): Promise<ExportValidation> {
  return {
    served: await measureHooks(subjects.served, edits, heldOut, describing('version', listener)),
    exported: await measureHooks(subjects.exported, edits, heldOut, describing('export', listener)),
  };
}

/** How many of the answers say their target, by themselves and in chat. */
export const saidShares = (answers: readonly LiveAnswer[]): Pick<VersionEvaluation, 'said' | 'inChat'> => ({
  said: mean(answers.map(({ said }) => Number(said))),
  inChat: mean(answers.flatMap(({ chat }) => (chat ? [Number(chat.hasTarget)] : []))),
});
