import { z } from 'zod';
import { InvalidInputError } from '../errors.js';
import type { ModelConfig } from '../model/index.js';

/** Which tokens a hook changes, and how (see `hook.ts`). */
export const gateKinds = ['key', 'nearest', 'sequence', 'none'] as const;
export type GateKind = (typeof gateKinds)[number];

/**
 * Gates that compare a token's key with the keys of the edits. They look at no other token, and name the edit that
 * opens.
 */
export type KeyGateKind = 'key' | 'nearest';

export const comparesKeys = (gate: GateKind): gate is KeyGateKind => gate === 'key' || gate === 'nearest';

/** Whether the row that opens this gate answers alone: what other rows write at its key is not heard. */
export const isAnsweredAlone = (gate: GateKind): boolean => gate === 'nearest';

/**
 * The method's settings. Defaults are those of the literature where it agrees. Presets hold only what differs.
 */
export const hyperparametersSchema = z.strictObject({
  /** Hooked layers, ascending; the last one is the value layer L. */
  layers: z.array(z.number().int().nonnegative()).min(1),
  /**
   * lambda / dInner: how strongly the old associations are kept. For ordinary keys the mean of `kᵀ C0⁻¹ k` is dInner.
   */
  momentWeight: z.number().positive().default(0.1),
  gate: z.enum(gateKinds).default('nearest'),
  /** tau: whitened cosine from which the gates `key` and `nearest` open. */
  similarityThreshold: z.number().min(0).max(1).default(0.6),
  /** Whitened cosine from which two forms of a subject share a row. */
  formSimilarity: z.number().min(0).max(1).default(0.75),
  /** alpha before the first round: z-score from which the sequence gate opens. */
  sequenceThreshold: z.number().default(2.2),
  /** Adam's step on a value. */
  learningRate: z.number().positive().default(0.5),
  /** Longest step of `polyak`, as a multiple of |z|. */
  longestStep: z.number().positive().default(0.3),
  /**
   * How a value search goes down. `polyak`: by the shortest step that takes every text's loss to its end by its gradient, those
   * that were looked at before included (see `polyakStep`). `loss` and `log-loss`: Adam on the sum of the losses, as in the paper,
   * or on its logarithm, whose gradient does not vanish as the target becomes probable. Adam moves every coordinate by about the
   * same, so its values are about twice as long and disturb more of what is to stay; and facts that pull at one value in different
   * directions take it many steps.
   */
  descent: z.enum(['polyak', 'log-loss', 'loss']).default('polyak'),
  /** Most steps of a value search. The literature has 25, each with all templates (see `templatesPerStep`). */
  steps: z.number().int().positive().default(20),
  /**
   * Length of the noise with which `polyak` looks at targets, as a multiple of |delta|: so that texts say them in which the
   * subject's state is a little different.
   */
  targetNoise: z.number().nonnegative().default(1),
  /** How many more steps of `polyak`, at most, are for targets that not every text says to its end by then. */
  targetSteps: z.number().int().nonnegative().default(16),
  /**
   * A value search ends when three things hold in every text: the targets' mean negative log-probability is below this, each of
   * their tokens is the most probable one, and `stopKept` is reached. (The paper looks at the whole loss, whose KL terms need not
   * become small.)
   */
  stopLoss: z.number().nonnegative().default(0.05),
  /** Share of the kept positions at which the most probable token must be the same as before, for a value search to end. */
  stopKept: z.number().min(0).max(1).default(0.75),
  /**
   * Each step of a value search looks at this many of the taught texts, at one of every fact at least, and at one kept text, in
   * turn, because their gradients are much alike. 0 means all of them at every step, as in the paper.
   */
  templatesPerStep: z.number().int().nonnegative().default(2),
  /** Largest |delta| as a multiple of |z|. */
  clampNormFactor: z.number().positive().default(4),
  /** Weight of `|delta| / |z|²`. */
  weightDecay: z.number().nonnegative().default(0.001),
  /** Weight of the KL term at the subject of "{subject} is a". */
  klFactor: z.number().nonnegative().default(0.0625),
  /** Weight of the mean KL over a subject's kept texts. */
  keepFactor: z.number().nonnegative().default(1),
  /** Weight of the mean KL at the position after each target: so that an answer ends where it ends. */
  endFactor: z.number().nonnegative().default(0.25),
  /** Length of the sampled context prefixes in tokens; 0 means no prefixes. */
  contextTokens: z.number().int().nonnegative().default(10),
  /** Whether facts are also taught, and a subject's other answers kept, in chat; for models with a chat template. */
  chatContexts: z.boolean().default(true),
  /** How many tokens of what the base model says about a subject are kept; 0 keeps only what it says next. */
  keptTokens: z.number().int().nonnegative().default(8),
  /** Seed of everything that is drawn at random. */
  seed: z.number().int().nonnegative().default(0),
});

/** The same as another release stored it. Settings that this release does not know are ignored. */
export const storedHyperparametersSchema = hyperparametersSchema.strip();

export type Hyperparameters = z.infer<typeof hyperparametersSchema>;

/** Settings with the defaults of what they leave out. @throws {InvalidInputError} naming one that is unknown or does not fit */
export function parseHyperparameters(settings: z.input<typeof hyperparametersSchema>): Hyperparameters {
  const parsed = hyperparametersSchema.safeParse(settings);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  throw new InvalidInputError(`hyperparameter ${path.join('.') || 'set'}`, message, JSON.stringify(settings));
}

/**
 * Fills in defaults and checks the layers against the model.
 *
 * @throws {InvalidInputError} naming the setting that does not fit
 */
export function resolveHyperparameters(
  settings: z.input<typeof hyperparametersSchema>,
  config: ModelConfig,
): Hyperparameters {
  const resolved = parseHyperparameters(settings);
  const { layers } = resolved;
  const ascending = layers.every((layer, i) => i === 0 || layer > layers[i - 1]);
  if (!ascending || layers[layers.length - 1] >= config.layers) {
    throw new InvalidInputError(
      'hyperparameter layers',
      `ascending layers of 0 .. ${config.layers - 1}`,
      `[${layers.join(', ')}]`,
    );
  }
  return resolved;
}

/** L, the layer at whose output value targets are sought. */
export function valueLayer({ layers }: Pick<Hyperparameters, 'layers'>): number {
  return layers[layers.length - 1];
}
