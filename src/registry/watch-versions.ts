import { setTimeout as sleep } from 'node:timers/promises';
import type { PulledVersion } from './versions.js';

/** What can be watched, such as `ModelVersions`. */
export interface WatchedVersions<T> {
  /** The version that `latest` names: the same object while nothing is new, undefined before the first one. */
  pullLatest(): Promise<T | undefined>;
}

/** How to watch. */
export interface WatchOptions<T = PulledVersion> {
  /**
   * Told of the version that is there at the start, and of every other one that `latest` comes to name. One at a time:
   * of those that come meanwhile, the last. Where it throws, it is told again at the next look.
   */
  readonly onVersion: (pulled: T) => void | Promise<void>;
  /**
   * Told why a look failed, or why a version is refused; what was handed out before stays good.
   * @param nextSeconds until the next look
   */
  readonly onError: (error: unknown, nextSeconds: number) => void;
  /** Mean time between two looks; 10 unless said otherwise. */
  readonly intervalSeconds?: number;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
  /** Uniform numbers in [0, 1). */
  readonly random?: () => number;
}

/** Longest pause after failures, as a multiple of the interval. */
const longestPause = 16;

/**
 * Watches a model's versions until the signal says to stop. It polls: each pause is drawn anew between half and one and a
 * half intervals, so that services that were started together do not ask together; after failures pauses double, up to
 * sixteen intervals. A look that finds nothing new is one conditional request.
 */
export async function watchVersions<T>(versions: WatchedVersions<T>, options: WatchOptions<T>): Promise<void> {
  const { onVersion, onError, intervalSeconds = 10, signal, random = Math.random } = options;
  let held: T | undefined;
  let failures = 0;
  const isStopped = () => signal?.aborted === true;
  while (!isStopped()) {
    let failure: { readonly error: unknown } | undefined;
    try {
      const pulled = await versions.pullLatest();
      if (pulled !== undefined && pulled !== held && !isStopped()) {
        await onVersion(pulled);
        held = pulled;
      }
      failures = 0;
    } catch (error) {
      failure = { error };
      failures++;
    }
    if (isStopped()) return;
    const seconds = intervalSeconds * Math.min(longestPause, 2 ** failures) * (0.5 + random());
    if (failure !== undefined) onError(failure.error, seconds);
    // Only the signal can break the pause off.
    await sleep(1000 * seconds, undefined, { signal }).catch(() => undefined);
  }
}
