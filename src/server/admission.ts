import { refusal } from './refusal.js';
import type { ServiceLimits } from './service-limits.js';

interface Waiter {
  readonly choices: number;
  readonly admit: () => void;
}

/** Limits how many choices are computed at once. Other requests wait in order of arrival; a full queue refuses more. */
export class Admission {
  readonly #queue: Waiter[] = [];
  #active = 0;
  readonly #limits: Pick<ServiceLimits, 'maxConcurrency' | 'maxQueue'>;

  constructor(limits: Pick<ServiceLimits, 'maxConcurrency' | 'maxQueue'>) {
    this.#limits = limits;
  }

  /** Number of choices that are being computed. */
  get active(): number {
    return this.#active;
  }

  /** Number of requests that wait for their turn. */
  get queued(): number {
    return this.#queue.length;
  }

  /**
   * Waits until a request's choices may be computed.
   * @param choices at most `maxConcurrency`
   * @returns a function to call when the choices are done
   * @throws {HTTPException} 429 if too many requests wait already; the signal's reason if it aborts first
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

  /** Admits strictly in order. If small requests could overtake, a large one might wait for ever. */
  #admit(): void {
    while (this.#queue.length > 0 && this.#fits(this.#queue[0].choices)) {
      const { choices, admit } = this.#queue.shift()!;
      this.#active += choices;
      admit();
    }
  }
}
