import { InvalidInputError } from '../../errors.js';
import type { ModelFile, ProgramInput } from '../../runtime/index.js';
import { type Tensor, zeros } from '../../tensor/index.js';

const pastPrefix = 'past_key_values.';
const presentPrefix = 'present.';

/** The attention keys and values of one sequence as an exported decoder takes and gives them. */
export class OnnxCache {
  #tensors: Readonly<Record<string, Tensor>>;
  #tokens = 0;
  readonly #inputs: readonly ProgramInput[];

  private constructor(inputs: readonly ProgramInput[]) {
    this.#inputs = inputs;
    this.#tensors = Object.fromEntries(inputs.map((input) => [input.name, emptyPast(input)]));
  }

  /**
   * Before the first token of a sequence.
   *
   * @throws {InvalidInputError} if a past has no present, or has other unknown sizes than batch and tokens
   */
  static empty({ inputs, outputs }: ModelFile): OnnxCache {
    const pasts = inputs.filter(({ name }) => name.startsWith(pastPrefix));
    const lacking = pasts.map(presentOf).find((present) => outputs.every(({ name }) => name !== present));
    if (lacking !== undefined) throw new InvalidInputError('exported decoder', `an output ${lacking}`, 'none');
    return new OnnxCache(pasts);
  }

  /** Tokens that are held. */
  get tokens(): number {
    return this.#tokens;
  }

  /** `past_key_values.<layer>.key`, `.value`: [1, heads, tokens, dHead]. */
  feeds(): Readonly<Record<string, Tensor>> {
    return this.#tensors;
  }

  /** The cache after a run: its `present.<layer>.key`, `.value`, which hold `tokens` more. */
  grown(outputs: Readonly<Record<string, Tensor>>, tokens: number): OnnxCache {
    const next = new OnnxCache(this.#inputs);
    next.#tensors = Object.fromEntries(this.#inputs.map((input) => [input.name, outputs[presentOf(input)]!]));
    next.#tokens = this.#tokens + tokens;
    return next;
  }
}

function presentOf({ name }: ProgramInput): string {
  return name.replace(pastPrefix, presentPrefix);
}

/** No tokens: axis 0 is the batch, axis 2 the tokens. */
function emptyPast({ name, dtype, shape }: ProgramInput): Tensor {
  const sizes = shape.map((dim, axis) => (axis === 0 ? 1 : axis === 2 ? 0 : dim));
  if (sizes.length !== 4 || sizes.some((size) => typeof size !== 'number')) {
    throw new InvalidInputError(
      `input ${name}`,
      '[batch, heads, tokens, dHead] with known heads and dHead',
      `[${shape}]`,
    );
  }
  return zeros(dtype, sizes as number[]);
}
