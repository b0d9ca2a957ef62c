/**
 * @file How long a test may wait. Only what hangs may meet this limit: whether a test passes must not depend on how busy
 * the machine is. All other limits of the tests are made of this one.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** For one thing that must come, and is waited for. */
export const patienceSeconds = Number(process.env.HOOKLINE_TEST_PATIENCE_SECONDS || 600);

/** For a whole test, which may wait for several things: a wait that is given up can still say what it waited for. */
export const testPatienceSeconds = 3 * patienceSeconds;

/** Waits until something is there. @returns it @throws {Error} with what `state` says, once patience is at its end */
export async function until<T>(
  find: () => T | Promise<T>,
  state: () => unknown = () => '',
): Promise<Exclude<T, undefined | null | false>> {
  const giveUpAt = performance.now() + 1000 * patienceSeconds;
  for (;;) {
    const found = await find();
    if (found) return found as Exclude<T, undefined | null | false>;
    if (performance.now() > giveUpAt) throw new Error(`${find}: true within ${patienceSeconds} s, got ${state()}`);
    await sleep(10);
  }
}
