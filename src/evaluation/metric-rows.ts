import type { Edit } from '../editing/index.js';
import type { Drift } from './drift.js';
import type { EditSummary } from './summary.js';

/** A metric with the protocol that it was measured by. */
export interface MetricRow {
  /** As manifests name it. */
  readonly name: string;
  readonly metric: string;
  /** Null where there was nothing to measure it on. */
  readonly value: number | null;
  readonly protocol: string;
}

/** What was measured, by every protocol. */
interface MeasuredMetrics {
  readonly summary: EditSummary;
  readonly said: number | null;
  /** Left out where nothing was asked in chat. */
  readonly inChat?: number | null;
  /** Left out where the base model was not asked. */
  readonly baseSaid?: number | null;
  /** Null without held-out text. */
  readonly drift: Drift | null;
}

/** Every metric of an evaluation, in the order of its protocols. */
export function metricRows(
  { summary, said, inChat, baseSaid, drift }: MeasuredMetrics,
  edits: readonly Edit[],
): MetricRow[] {
  const row = (name: string, metric: string, value: number | null | undefined, protocol: string): MetricRow => ({
    name,
    metric,
    value: value === undefined || Number.isNaN(value) ? null : value,
    protocol,
  });
  return [
    row(
      'reliability',
      'reliability',
      summary.reliability,
      'token accuracy: target tokens right on the edit prompt, teacher-forced',
    ),
    row('generality', 'generality', summary.generality, 'token accuracy: the same on test paraphrases'),
    row(
      'portability',
      'portability',
      summary.portability,
      'token accuracy: target tokens right on questions that follow from the fact',
    ),
    row(
      'locality',
      'locality',
      summary.locality,
      'token accuracy: agreement with the frozen base model on neighbourhood prompts',
    ),
    row('sameSubjectLocality', 'same-subject locality', summary.sameSubjectLocality, sameSubjectProtocol(edits)),
    row(
      'efficacySuccess',
      'efficacy success',
      summary.efficacySuccess,
      'probabilities: nll(new) < nll(true) on the edit prompt',
    ),
    row(
      'paraphraseSuccess',
      'paraphrase success',
      summary.paraphraseSuccess,
      'probabilities: the same on test paraphrases',
    ),
    row(
      'neighborhoodSuccess',
      'neighbourhood success',
      summary.neighborhoodSuccess,
      'probabilities: nll(true) < nll(new) on neighbours',
    ),
    row('score', 'score S', summary.score, 'probabilities: harmonic mean of the three successes'),
    row('said', 'said', said, "live decoding: greedy text says the target, to its word's end"),
    row('inChat', 'said in chat', inChat, 'live decoding: the target occurs in the answer of a chat'),
    row('baseSaid', 'said, base', baseSaid, 'live decoding: the first of these, of the base model'),
    row('perplexityRatio', 'perplexity ratio', drift?.perplexityRatio, 'drift: edited over base on held-out text'),
    row('basePerplexity', 'perplexity, base', drift?.basePerplexity, 'drift: of the base model on held-out text'),
    row('klToBase', 'KL to base', drift?.klToBase, 'drift: nats per token of held-out text'),
    row('swapRate', 'swap rate', drift?.swapRate, 'drift: share of tokens that the gate lets through'),
  ];
}

function sameSubjectProtocol(edits: readonly Edit[]): string {
  const own = edits.filter((edit) => edit.keep.length > 0).length;
  const prompts =
    own === edits.length
      ? 'keep prompts'
      : own === 0
        ? 'generic prompts'
        : `keep prompts (${own} edits) or generic ones`;
  return `token accuracy: agreement with the base model on ${prompts} about the edited subject`;
}
