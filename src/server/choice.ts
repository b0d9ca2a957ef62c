import { randomInt } from 'node:crypto';
import type { Encoding } from '../model/index.js';
import type { Completion, CompletionRequest, EditedModel } from '../serving/index.js';
import type { CompletionCall } from './completion-call.js';
import type { Answering } from './served-models.js';
import type { ServiceMetrics } from './service-metrics.js';

/** The tokens of a prompt; of a text with their places in it. */
export interface PromptTokens {
  readonly text?: string;
  readonly ids: readonly number[];
  readonly spans?: Encoding['spans'];
}

/** One completion of one prompt, computed up to its first token. An invalid prompt has already been refused by then. */
export class Choice {
  readonly #firstTokenAt = performance.now();
  readonly #stream: AsyncGenerator<string, Completion>;
  readonly #first: IteratorResult<string, Completion>;
  readonly #startedAt: number;

  private constructor(
    readonly index: number,
    /** With spans if the prompt was a text. */
    readonly prompt: PromptTokens,
    stream: AsyncGenerator<string, Completion>,
    first: IteratorResult<string, Completion>,
    startedAt: number,
  ) {
    this.#stream = stream;
    this.#first = first;
    this.#startedAt = startedAt;
  }

  /** @throws {InvalidInputError} if the prompt has no tokens or too many */
  static async begin(
    edited: EditedModel,
    index: number,
    prompt: PromptTokens,
    options: Omit<CompletionRequest, 'prompt'> & { readonly version: Answering['version'] },
  ): Promise<Choice> {
    const startedAt = performance.now();
    const stream = edited.stream({ ...options, prompt: prompt.ids });
    return new Choice(index, prompt, stream, await stream.next(), startedAt);
  }

  /** Computes the rest of the completion. @param onPiece called with each piece of text as it is produced */
  async finish(onPiece: (text: string) => Promise<void> | void = () => {}): Promise<Completion> {
    let next = this.#first;
    while (!next.done) {
      await onPiece(next.value);
      next = await this.#stream.next();
    }
    return next.value;
  }

  /** Adds the finished choice to the metrics. */
  count(metrics: ServiceMetrics, modelId: string, { promptTokens, tokenIds, firings }: Completion): void {
    metrics.completed(modelId, {
      promptTokens,
      completionTokens: tokenIds.length,
      firings: firings.length,
      firstTokenSeconds: (this.#firstTokenAt - this.#startedAt) / 1000,
      totalSeconds: (performance.now() - this.#startedAt) / 1000,
    });
  }
}

/**
 * Begins every choice of a call, in the order of their indices: `n` choices of the first prompt, then of the next. Each
 * choice has its own seed. The seeds count up from the call's seed, or from a random one if the call has none.
 */
export async function beginChoices(
  edited: EditedModel,
  call: CompletionCall,
  { version }: Answering,
  signal: AbortSignal,
): Promise<Choice[]> {
  const { maxTokens, temperature, topP, stop, choicesPerPrompt } = call;
  const firstSeed = (call.seed ?? randomInt(2 ** 32)) % 2 ** 32;
  const prompts: PromptTokens[] = [];
  for (const prompt of call.prompts) {
    const tokens = await tokensOf(edited, prompt, signal);
    prompts.push(...Array.from({ length: choicesPerPrompt }, () => tokens));
  }
  const begun = prompts.map((prompt, index) => {
    const seed = firstSeed + index;
    return Choice.begin(edited, index, prompt, { maxTokens, temperature, topP, seed, stop, version, signal });
  });
  return Promise.all(begun);
}

async function tokensOf(
  edited: EditedModel,
  prompt: string | readonly number[],
  signal: AbortSignal,
): Promise<PromptTokens> {
  return typeof prompt === 'string' ? { text: prompt, ...(await edited.encode(prompt, signal)) } : { ids: prompt };
}
