import { setTimeout as sleep } from 'node:timers/promises';
import type { PulledVersion } from './versions.js';

/** What can be watched, such as `ModelVersions`. */
export interface WatchedVersions<T> {
  /** The version that `latest` names; the same object as long as nothing is new; undefined before the first version. */
  pullLatest(): Promise<T | undefined>;
}

/** How to watch. */
export interface WatchOptions<T = PulledVersion> {
  /**
   * Called with the first version, and then with every version to which `latest` moves. There is one call at a time. If
   * several versions come during a call, only the last is passed on. If it throws, it is called again at the next look.
   */
  readonly onVersion: (pulled: T) => void | Promise<void>;
  /**
   * Called if a look failed or a version is refused. Versions that were handed out before stay valid.
   * @param nextSeconds until the next look
   */
  readonly onError: (error: unknown, nextSeconds: number) => void;
  /** Mean time between two looks; 10 by default. */
  readonly intervalSeconds?: number;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
  /** Uniform numbers in [0, 1). */
  readonly random?: () => number;
}

/** Longest pause after failures, as a multiple of the interval. */
const longestPause = 16;

/**
 * Watches a model's versions until the signal is aborted. It polls. Each pause is random between half and one and a
 * half intervals, so that services that started together do not poll together. After failures pauses double, up to
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
    // Only the signal can end the pause early.
    await sleep(1000 * seconds, undefined, { signal }).catch(() => undefined);
  }
}
