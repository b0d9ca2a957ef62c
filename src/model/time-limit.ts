/** @file Ends a computation that takes too long, in the thread that it runs in. */
import { type Context, createContext, Script } from 'node:vm';

/** Node.js can end what a script runs, functions of the program included, even within a match of a regular expression. */
let sandbox: { readonly script: Script; readonly context: Context } | undefined;

/**
 * Calls a function that blocks, and ends it after a time. What it has changed by then stays changed.
 *
 * @returns its result
 * @throws what `late` gives, if it took longer
 */
export function withinTime<T>(milliseconds: number, work: () => T, late: () => Error): T {
  sandbox ??= { script: new Script('work()'), context: createContext({}) };
  const { script, context } = sandbox;
  let result: T | undefined;
  context.work = () => {
    result = work();
  };
  try {
    script.runInContext(context, { timeout: milliseconds });
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT' ? late() : error;
  } finally {
    context.work = undefined;
  }
  return result as T;
}
