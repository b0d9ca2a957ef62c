import { Worker } from 'node:worker_threads';
import { InvalidInputError, TransientError } from '../errors.js';
import type { Encoding, Tokenizer } from './tokenizer.js';

/** What the thread is asked. */
export interface EncodeRequest {
  readonly text: string;
  /** Of a text with more, only their number is told. */
  readonly maxTokens: number;
}

/** What it answers: the tokens, with their spans end to end; or the parts of an `InvalidInputError`. */
export type EncodeAnswer =
  | { readonly tokens: number; readonly ids?: Uint32Array; readonly spans?: Uint32Array }
  | { readonly invalid: readonly [what: string, requirement: string, got: string] };

interface Job {
  readonly request: EncodeRequest;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (answer: EncodeAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/** Known to take a few milliseconds at most. */
const shortText = 1024;

/**
 * Turns prompts into tokens without holding up the event loop: long texts, and all texts whose time is not known, go to a
 * thread with a tokenizer of its own, which is started when the first one comes.
 */
export class PromptEncoder {
  readonly #directory: string;
  readonly #tokenizer: Tokenizer;
  readonly #maxTokens: number;
  /** The first one is being answered. */
  #jobs: Job[] = [];
  #thread: Worker | undefined;

  /**
   * @param directory of the model; its tokenizer must stay as it is
   * @param maxTokens of the model's context
   */
  constructor(directory: string, tokenizer: Tokenizer, maxTokens: number) {
    this.#directory = directory;
    this.#tokenizer = tokenizer;
    this.#maxTokens = maxTokens;
  }

  /**
   * The tokens of a prompt.
   *
   * @throws {InvalidInputError} if it has none, or more than the context holds; one with more characters than so many tokens
   *   can stand for is not even split
   * @throws the signal's reason, if nobody waits for the tokens any more
   */
  async encode(text: string, signal?: AbortSignal): Promise<Encoding> {
    const maxTokens = this.#maxTokens;
    const { longestTokenText, hasKnownPatterns } = this.#tokenizer;
    const maxCharacters = maxTokens * (longestTokenText ?? Number.POSITIVE_INFINITY);
    if (text.length > maxCharacters) {
      const requirement = `at most ${maxCharacters} characters, which no ${maxTokens} tokens exceed`;
      throw new InvalidInputError('text', requirement, String(text.length));
    }
    const isShort = text.length <= shortText && hasKnownPatterns;
    const { ids, spans, tokens } = isShort ? countedOf(this.#tokenizer.encode(text)) : await this.#ask(text, signal);
    if (tokens < 1 || tokens > maxTokens || ids === undefined || spans === undefined) {
      throw new InvalidInputError('text', `1 to ${maxTokens} tokens`, String(tokens));
    }
    return { ids, spans };
  }

  /** Ends the thread; texts that wait fail. A second call does nothing. */
  async dispose(): Promise<void> {
    const thread = this.#thread;
    this.#fail(new InvalidInputError('prompt encoder', 'not disposed', 'a text after dispose'));
    await thread?.terminate();
  }

  async #ask(text: string, signal?: AbortSignal): Promise<Partial<Encoding> & { readonly tokens: number }> {
    signal?.throwIfAborted();
    const request = { text, maxTokens: this.#maxTokens };
    let leave = () => {};
    const answer = await new Promise<EncodeAnswer>((resolve, reject) => {
      this.#jobs.push({ request, signal, resolve, reject });
      leave = () => reject(signal?.reason);
      signal?.addEventListener('abort', leave, { once: true });
      if (this.#jobs.length === 1) this.#next();
    }).finally(() => signal?.removeEventListener('abort', leave));
    if ('invalid' in answer) throw new InvalidInputError(...answer.invalid);
    const { tokens, ids, spans } = answer;
    if (ids === undefined || spans === undefined) return { tokens };
    return { tokens, ids: Array.from(ids), spans: Array.from(ids, (_, i) => [spans[2 * i]!, spans[2 * i + 1]!]) };
  }

  #next(): void {
    while (this.#jobs[0]?.signal?.aborted) this.#jobs.shift();
    const [job] = this.#jobs;
    if (job === undefined) {
      // A thread that waits for work must not keep the process from ending.
      this.#thread?.unref();
      return;
    }
    this.#thread ??= this.#start();
    this.#thread.ref();
    this.#thread.postMessage(job.request);
  }

  #start(): Worker {
    const thread = new Worker(new URL('./encode-thread.js', import.meta.url), { workerData: this.#directory });
    thread.on('message', (answer: EncodeAnswer) => {
      this.#jobs.shift()?.resolve(answer);
      this.#next();
    });
    thread.on('error', (cause) => {
      if (thread !== this.#thread) return;
      this.#fail(new TransientError(`thread of the tokenizer: running, got ${cause.message}`, { cause }));
    });
    return thread;
  }

  /** The next text starts another thread. */
  #fail(error: Error): void {
    const jobs = this.#jobs;
    this.#jobs = [];
    this.#thread = undefined;
    for (const { reject } of jobs) reject(error);
  }
}

const countedOf = (encoding: Encoding) => ({ ...encoding, tokens: encoding.ids.length });
