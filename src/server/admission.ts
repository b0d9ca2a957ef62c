import { refusal } from './refusal.js';
import type { ServiceLimits } from './service-limits.js';

interface Waiter {
  readonly choices: number;
  readonly admit: () => void;
}

/** Who is computed now and who waits: first come, first served, and whoever finds the queue full is sent away. */
export class Admission {
  readonly #queue: Waiter[] = [];
  #active = 0;
  readonly #limits: Pick<ServiceLimits, 'maxConcurrency' | 'maxQueue'>;

  constructor(limits: Pick<ServiceLimits, 'maxConcurrency' | 'maxQueue'>) {
    this.#limits = limits;
  }

  /** Choices that are computed now. */
  get active(): number {
    return this.#active;
  }

  /** Requests that wait. */
  get queued(): number {
    return this.#queue.length;
  }

  /**
   * Waits until a request's choices may be computed.
   * @param choices at most `maxConcurrency`
   * @returns to be called when they are done
   * @throws {HTTPException} 429 if too many wait already; the signal's reason if it is set off first
   */
  async enter(choices: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#queue.length > 0 || !this.#fits(choices)) await this.#wait(choices, signal);
    else this.#active += choices;
    return () => {
      this.#active -= choices;
      this.#admit();
    };
  }

  #fits(choices: number): boolean {
    return this.#active + choices <= this.#limits.maxConcurrency;
  }

  #wait(choices: number, signal: AbortSignal): Promise<void> {
    const { maxQueue } = this.#limits;
    if (this.#queue.length >= maxQueue) {
      const message = `requests: at most ${maxQueue} that wait, got one more; try again later`;
      throw refusal(429, message, { code: 'queue_full', headers: { 'retry-after': '1' } });
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#queue.splice(this.#queue.indexOf(waiter), 1);
        reject(signal.reason);
        this.#admit();
      };
      const admit = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const waiter = { choices, admit };
      this.#queue.push(waiter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Nobody overtakes: a large request would wait for ever. */
  #admit(): void {
    while (this.#queue.length > 0 && this.#fits(this.#queue[0].choices)) {
      const { choices, admit } = this.#queue.shift()!;
      this.#active += choices;
      admit();
    }
  }
}
