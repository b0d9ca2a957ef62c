/**
 * One fact to write: after the edit, `prompt` with `subject` filled in is continued by `targetNew`.
 *
 * Templates (`prompt`, `paraphrases` when they contain it, `keep`) hold the subject as `{}`.
 */
export interface Edit {
  /** Unique in its batch; by default the first 12 hex digits of the SHA-256 of subject, prompt and new target. */
  readonly id: string;
  readonly subject: string;
  /** Template with exactly one `{}`. */
  readonly prompt: string;
  /** Continuation to write, without its leading space. */
  readonly targetNew: string;
  /** Continuation before the edit, if known. */
  readonly targetTrue?: string;
  /** Other phrasings of the same fact, filled in. */
  readonly paraphrases: readonly string[];
  /** Prompts about other subjects, filled in: their answers must not change. */
  readonly neighborhood: readonly string[];
  /** Templates with `{}` about the same subject whose next-token distribution must not change. */
  readonly keep: readonly string[];
}
