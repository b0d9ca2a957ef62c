import { randomUUID } from 'node:crypto';
import type { Tokenizer } from '../model/index.js';
import type { Completion } from '../serving/index.js';
import type { Choice } from './choice.js';
import type { CompletionCall } from './completion-call.js';
import { explanationOf } from './explanation.js';
import type { Answering } from './served-models.js';

/** Token counts as OpenAI defines them: a prompt counts once, however many choices it has. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** Builds the answers to a call in OpenAI's format. */
export class CompletionBodies {
  readonly #head: object;
  readonly #call: CompletionCall;
  readonly #answering: Answering;
  readonly #tokenizer: Tokenizer;

  constructor(call: CompletionCall, answering: Answering, tokenizer: Tokenizer) {
    this.#call = call;
    this.#answering = answering;
    this.#tokenizer = tokenizer;
    const created = Math.floor(Date.now() / 1000);
    this.#head = { id: `cmpl-${randomUUID()}`, object: 'text_completion', created, model: answering.name };
  }

  whole(choices: readonly Choice[], completed: readonly Completion[], usage: Usage): object {
    const bodies = choices.map((choice, c) => {
      const echo = this.#call.echoes ? this.#promptText(choice) : '';
      return { ...this.#choice(choice, echo + completed[c].text), ...this.#ending(choice, completed[c]) };
    });
    return { ...this.#head, choices: bodies, usage };
  }

  textChunk(choice: Choice, text: string): object {
    return this.#chunk([this.#choice(choice, text)]);
  }

  /** The prompt as the first chunk, if the request asked for `echo`. */
  echoChunks(choice: Choice): object[] {
    return this.#call.echoes ? [this.textChunk(choice, this.#promptText(choice))] : [];
  }

  /** The chunk after all text of a choice: it gives the finish reason. */
  lastChunk(choice: Choice, completion: Completion): object {
    return this.#chunk([{ ...this.#choice(choice, ''), ...this.#ending(choice, completion) }]);
  }

  usageChunks(usage: Usage): object[] {
    return this.#call.includesUsage ? [{ ...this.#head, choices: [], usage }] : [];
  }

  usage(completed: readonly Completion[]): Usage {
    const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
    const firsts = completed.filter((_, c) => c % this.#call.choicesPerPrompt === 0);
    const prompts = sum(firsts.map(({ promptTokens }) => promptTokens));
    const completions = sum(completed.map(({ tokenIds }) => tokenIds.length));
    return { prompt_tokens: prompts, completion_tokens: completions, total_tokens: prompts + completions };
  }

  #chunk(choices: readonly object[]): object {
    return { ...this.#head, choices, ...(this.#call.includesUsage && { usage: null }) };
  }

  #choice({ index }: Choice, text: string): object {
    return { text, index, logprobs: null, finish_reason: null };
  }

  #ending({ prompt }: Choice, completion: Completion): object {
    const explanation = this.#call.explains && {
      hookline: explanationOf(this.#tokenizer, prompt, completion, this.#answering),
    };
    return { finish_reason: completion.finishReason, ...explanation };
  }

  #promptText({ prompt }: Choice): string {
    return prompt.text ?? this.#tokenizer.decode(prompt.ids);
  }
}
