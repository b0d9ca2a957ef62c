import { setImmediate as nextTurn } from 'node:timers/promises';

/** Spreads pieces of work that block over turns of the event loop, so that other requests are answered between them. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Waits for a turn of the event loop that nobody else is given. */
  next(): Promise<void> {
    this.#last = this.#last.then(() => nextTurn());
    return this.#last;
  }
}
