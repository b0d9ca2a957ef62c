/** @file What decides whether a measured round is published. */
import { z } from 'zod';
import { InvalidInputError } from '../errors.js';

const share = z.number().min(0).max(1);

/** The criteria of publication. */
export const publishCriteriaSchema = z.strictObject({
  /** Least mean reliability of the round's edits. */
  minReliability: share.default(0.9),
  /** Least share of the round's edits that are said. */
  minSaid: share.default(0.9),
  /** Least mean locality of the round's edits. */
  minLocality: share.default(0.9),
  /** Least reliability of the sampled edits of earlier rounds. */
  minRetention: share.default(0.9),
  /** Greatest ratio of the edited model's perplexity on held-out text to the base model's. */
  maxPerplexityRatio: z.number().positive().default(1.05),
  /** An edit below this reliability fails. */
  editReliability: share.default(1),
  /** An edit below this mean locality fails. */
  editLocality: share.default(0.5),
  /** Whether an edit fails that greedy decoding of its own prompt does not say; see `isSaid`. */
  editSaid: z.boolean().default(true),
  /** Whether an edit fails whose new target the model does not say in chat. */
  editInChat: z.boolean().default(false),
  /** How often a round is solved again without the edits that failed. */
  maxRepeats: z.int().nonnegative().default(2),
  /** Least share of a round's edits that must be left. */
  minKeptShare: share.default(0.5),
});
export type PublishCriteria = z.infer<typeof publishCriteriaSchema>;

/** Criteria with the defaults of what they leave out. @throws {InvalidInputError} naming one that is unknown or does not fit */
export function parseCriteria(criteria: Partial<PublishCriteria>): PublishCriteria {
  const parsed = publishCriteriaSchema.safeParse(criteria);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  throw new InvalidInputError(`criterion ${path.join('.') || 'of publication'}`, message, JSON.stringify(criteria));
}
