/** @file Timing: several jobs in turn, so that a change of the machine's speed meets all of them alike. */

/**
 * What a second is: `wall`, or `cpu` for a machine that is busy with other things, where only the processor's time spent on
 * this process says how much work a job was. Threads that wait for each other spin, so `cpu` counts their waiting.
 */
export type ClockKind = 'wall' | 'cpu';

let kind: ClockKind = 'wall';

/** Chooses the clock of all measurements of this process. */
export function useClock(chosen: ClockKind): void {
  kind = chosen;
}

/** Seconds since some moment. */
export function nowSeconds(): number {
  return kind === 'wall' ? performance.now() / 1000 : cpuSeconds();
}

/** Seconds that the processor spent on this process so far, all cores together. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Times of one job, in seconds. */
export interface Timing {
  readonly seconds: readonly number[];
  readonly best: number;
  readonly median: number;
}

/** Runs the jobs A B A B … after one untimed turn each. */
export async function interleave<Name extends string>(
  jobs: Readonly<Record<Name, () => Promise<unknown>>>,
  turns: number,
  options: { readonly warmUp?: boolean } = {},
): Promise<Record<Name, Timing>> {
  const names = Object.keys(jobs) as Name[];
  if (options.warmUp ?? true) for (const name of names) await jobs[name]();
  const seconds = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let turn = 0; turn < turns; turn++) {
    for (const name of names) seconds.get(name)!.push(await secondsOf(jobs[name]));
  }
  return Object.fromEntries(names.map((name) => [name, timing(seconds.get(name)!)])) as Record<Name, Timing>;
}

/** How long a job takes, in seconds. */
export async function secondsOf(job: () => Promise<unknown>): Promise<number> {
  const start = nowSeconds();
  await job();
  return nowSeconds() - start;
}

/** Smallest and middle of some times. */
export function timing(seconds: readonly number[]): Timing {
  return { seconds, best: Math.min(...seconds), median: median(seconds) };
}

/** The middle value, the mean of both middle ones for an even count. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
}
