/**
 * One fact to write: after the edit, `prompt` with `subject` filled in is continued by `targetNew`.
 *
 * Templates (`prompt`, `paraphrases`, `keep`) hold the subject as `{}`, exactly once. All other texts are filled in.
 */
export interface Edit {
  /** Unique in its batch; by default the first 12 hex digits of the SHA-256 of subject, prompt and new target. */
  readonly id: string;
  readonly subject: string;
  /** Other names of the subject, under which its facts are to be said too. */
  readonly aliases: readonly string[];
  /** Template. */
  readonly prompt: string;
  /** Continuation to write, without its leading space. */
  readonly targetNew: string;
  /** Continuation before the edit, if known. */
  readonly targetTrue?: string;
  /** Templates: other phrasings of the same fact, which are taught with it. They measure nothing. */
  readonly paraphrases: readonly string[];
  /** Other phrasings of the same fact, which only measure: they are never taught. */
  readonly testParaphrases: readonly string[];
  /** Prompts about other subjects: their answers must not change. */
  readonly neighborhood: readonly string[];
  /** Templates about the same subject whose next-token distribution must not change. */
  readonly keep: readonly string[];
  /** Questions that follow from the fact, each with the answer that is then right. They only measure. */
  readonly portability: readonly { readonly prompt: string; readonly target: string }[];
}
