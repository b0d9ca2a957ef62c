/** Growing pauses between the tries of something that fails: 1, 2, 4 ... seconds, at most a quarter of a minute. */
export class Backoff {
  #failures = 0;
  #dueAt = 0;

  /** Whether the pause is over. */
  get isDue(): boolean {
    return performance.now() >= this.#dueAt;
  }

  /** Notes a try that did not succeed: the next one is due after a longer pause. */
  failed(): void {
    this.#dueAt = performance.now() + 1000 * Math.min(longestSeconds, 2 ** this.#failures);
    this.#failures++;
  }

  /** Notes a success: the next failure is followed by a short pause. */
  succeeded(): void {
    this.#failures = 0;
    this.#dueAt = 0;
  }
}

const longestSeconds = 15;
