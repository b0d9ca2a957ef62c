/** @file What the HTML report shows, as plain JSON. */
import type { RejectedLine } from '../read-batch.js';

/** A measured number; missing or not finite where it was not measured, shown as an en dash. */
export type Metric = number | null | undefined;

/** Everything a report shows. Empty lists leave their section out. */
export interface ReportData {
  readonly title: string;
  readonly model: ReportModel;
  /** Version this report is about, and the one it was made on. */
  readonly version: number | string;
  readonly parent?: number | string | null;
  /** ISO 8601 time. */
  readonly createdAt: string;
  readonly hyperparameters: Readonly<Record<string, HyperparameterValue>>;
  /** What the criteria that decided require of the last round's measures; left out where nothing was decided. */
  readonly required?: Partial<Readonly<Record<MeasureField, number>>>;
  /** Oldest first; the last one is the version of the report. */
  readonly rounds: readonly RoundRow[];
  readonly counterfact?: CounterfactScores | null;
  readonly gates: readonly GateRow[];
  readonly gateSeparation?: GateSeparation | null;
  readonly layers: readonly LayerRow[];
  readonly valueSearch?: ValueSearchCourse | null;
  readonly edits: readonly EditRow[];
  readonly rejectedEdits: readonly RejectedEditRow[];
  readonly rejected: readonly RejectedLine[];
  /** Where the version takes edits back and writes none. */
  readonly revocation?: RevocationData | null;
  /** Sentences for the reader: what was measured how, what was left out. */
  readonly notes: readonly string[];
}

export type HyperparameterValue = string | number | boolean | null | readonly (string | number)[];

/** The model that was edited. */
export interface ReportModel {
  readonly name: string;
  readonly digest: string;
  /** Indices of the hooked layers. */
  readonly hookedLayers: readonly number[];
  readonly dModel: number;
  readonly dInner: number;
}

/** Measures of a round that have a tile. */
export type MeasureField =
  | 'reliability'
  | 'generality'
  | 'locality'
  | 'sameSubjectLocality'
  | 'retention'
  | 'said'
  | 'inChat'
  | 'perplexityRatio'
  | 'swapRate';

/** The metrics after one round. Shares lie in 0..1. */
export interface RoundRow {
  readonly round: number;
  readonly version: number | string;
  /** How many edits the round wrote; those that a revocation took back are counted below zero. */
  readonly newEdits: number;
  readonly reliability?: Metric;
  readonly generality?: Metric;
  readonly locality?: Metric;
  readonly sameSubjectLocality?: Metric;
  /** Reliability of the edits of all earlier rounds; none after the first. */
  readonly retention?: Metric;
  /** Share of the round's edits that greedy decoding says, by their own prompts and in chat. */
  readonly said?: Metric;
  readonly inChat?: Metric;
  /** Held-out perplexity, edited over base. */
  readonly perplexityRatio?: Metric;
  /** Mean KL divergence from the base model on held-out text, nats. */
  readonly klToBase?: Metric;
  /** Share of ordinary tokens that the gate lets through. */
  readonly swapRate?: Metric;
  readonly seconds?: Metric;
}

/** Scores of the CounterFact protocol, shares in 0..1 (Meng et al., 2022). */
export interface CounterfactScores {
  readonly efficacySuccess?: Metric;
  readonly paraphraseSuccess?: Metric;
  readonly neighborhoodSuccess?: Metric;
  /** Harmonic mean of the three. */
  readonly score?: Metric;
}

/** The same edits behind one kind of gate. */
export interface GateRow {
  readonly gate: 'key' | 'nearest' | 'sequence' | 'none';
  readonly reliability?: Metric;
  readonly generality?: Metric;
  readonly locality?: Metric;
  readonly sameSubjectLocality?: Metric;
  readonly perplexityRatio?: Metric;
}

/** The key gate's similarity on four kinds of keys, one number a key, and the threshold (tau) above which it opens. */
export interface GateSeparation {
  readonly edit: readonly number[];
  readonly paraphrase: readonly number[];
  readonly neighborhood: readonly number[];
  readonly text: readonly number[];
  readonly threshold: number;
}

/** One hooked layer. */
export interface LayerRow {
  readonly layer: number;
  /** `|dW| / |W|`, Frobenius norms. */
  readonly relativeChange?: Metric;
  readonly writtenShareMedian?: Metric;
  /** Rows in the layer, of all rounds; before 0.2 every edit had one. */
  readonly edits: number;
  readonly sizeBytes?: Metric;
}

/** The value search, one number per edit. */
export interface ValueSearchCourse {
  readonly steps: readonly number[];
  readonly losses: readonly number[];
}

/** One edit, before and after. */
export interface EditRow {
  readonly id: string;
  readonly subject: string;
  /** Template with `{}`. */
  readonly prompt: string;
  readonly targetNew: string;
  readonly targetTrue?: string | null;
  /** Generated continuations of the prompt by the base model and by the edited one. */
  readonly before?: string | null;
  readonly after?: string | null;
  /** Whether the edited model's continuation says the new target. */
  readonly said?: boolean;
  /** Whether its answer in chat, which is `chatText`, does; left out where it was not asked there. */
  readonly inChat?: boolean;
  readonly chatText?: string;
  readonly reliability?: Metric;
  readonly paraphrasesRight?: Metric;
  readonly paraphrasesTotal?: Metric;
  readonly neighborhoodKept?: Metric;
  readonly neighborhoodTotal?: Metric;
  /** Id of the edit that opened the gate on this edit's prompt. */
  readonly firedBy?: string | null;
  readonly similarity?: Metric;
  readonly writtenShare?: Metric;
  readonly round: number;
  /** Failed edits missed a criterion. */
  readonly status: 'applied' | 'failed';
}

/** An edit that was not written, or failed and was taken out again. */
export interface RejectedEditRow extends Pick<EditRow, 'id' | 'subject' | 'prompt' | 'targetNew'> {
  readonly reason: string;
}

/** What a revocation did. */
export interface RevocationData {
  readonly edits: readonly RevokedRow[];
  /** How many edits stay. */
  readonly kept: number;
  /** The edits that stay, metric by metric. */
  readonly changes: readonly ChangeRow[];
}

/** A revoked edit under the version before and under this one. */
export interface RevokedRow {
  readonly id: string;
  readonly subject: string;
  /** Template with `{}`. */
  readonly prompt: string;
  readonly targetNew: string;
  /** The version that wrote it. */
  readonly writtenBy: number;
  readonly reliabilityBefore?: Metric;
  readonly reliabilityAfter?: Metric;
  /** Share of the most probable tokens on its prompts that are the base model's. */
  readonly baseAgreement?: Metric;
  /** Generated continuations of the prompt. */
  readonly textBefore: string;
  readonly textAfter: string;
  readonly textBase: string;
  /** Id of the edit whose gate opens on the prompt now. */
  readonly firedBy?: string | null;
  /** The earlier edit that it had overwritten and that does not come back. */
  readonly overwrote?: { readonly id: string; readonly targetNew: string } | null;
}

/** A metric of the edits that stay. */
export interface ChangeRow {
  readonly metric: string;
  readonly before?: Metric;
  readonly after?: Metric;
  /** How many of them fell. */
  readonly fallen: number;
  /** The one that fell most. */
  readonly worst?: { readonly id: string; readonly before: number; readonly after: number } | null;
}
