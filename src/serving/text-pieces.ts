import type { Tokenizer } from '../model/index.js';

/** Earlier tokens that are decoded together with new ones, because a token's text may depend on its neighbour. */
const contextTokens = 4;

/** What a decoder writes for bytes that are no character, or not a whole one yet. */
const unfinished = '\ufffd';

/**
 * Generated tokens as text, in pieces that are never taken back: whole characters only, and no part of a stop string.
 */
export class TextPieces {
  #context: readonly number[];
  #pending: number[] = [];
  /** Decoded text that may be the beginning of a stop string. */
  #held = '';
  #isStopped = false;
  readonly #tokenizer: Tokenizer;
  readonly #stop: readonly string[];

  /** @param promptIds the tokens before the text */
  constructor(tokenizer: Tokenizer, promptIds: readonly number[], stop: readonly string[] = []) {
    this.#tokenizer = tokenizer;
    this.#stop = stop;
    this.#context = promptIds.slice(-contextTokens);
  }

  /** Whether a stop string has come, so that nothing follows. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Adds a token, and returns the text that is certain now. */
  push(tokenId: number): string {
    this.#pending.push(tokenId);
    const text = this.#decodePending();
    if (text.endsWith(unfinished)) return '';
    this.#settle();
    return this.#release(text, false);
  }

  /** The text that was held back, once no more tokens come. */
  end(): string {
    const text = this.#decodePending();
    this.#settle();
    return this.#release(text, true);
  }

  #decodePending(): string {
    if (this.#pending.length === 0) return '';
    const before = this.#tokenizer.decode(this.#context);
    return this.#tokenizer.decode([...this.#context, ...this.#pending]).slice(before.length);
  }

  #settle(): void {
    this.#context = [...this.#context, ...this.#pending].slice(-contextTokens);
    this.#pending = [];
  }

  #release(text: string, isLast: boolean): string {
    if (this.#isStopped) return '';
    const all = this.#held + text;
    const stops = this.#stop.map((one) => all.indexOf(one)).filter((position) => position >= 0);
    this.#isStopped = stops.length > 0;
    const end = this.#isStopped ? Math.min(...stops) : all.length - (isLast ? 0 : this.#possibleStop(all));
    this.#held = all.slice(end);
    return all.slice(0, end);
  }

  /** Length of the longest end of the text with which a stop string begins. */
  #possibleStop(text: string): number {
    const lengths = this.#stop.flatMap((one) =>
      Array.from({ length: Math.min(one.length - 1, text.length) }, (_, i) => i + 1).filter((length) =>
        one.startsWith(text.slice(-length)),
      ),
    );
    return Math.max(0, ...lengths);
  }
}
