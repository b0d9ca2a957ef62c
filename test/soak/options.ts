/** @file Options of `npm run soak`. */
import { parseArgs } from 'node:util';

/** The parts of a soak. */
export const parts = ['executions', 'queue', 'fuzz', 'models', 'shards', 'inbox'] as const;
export type Part = (typeof parts)[number];

/** What to do, and how much of it. */
export interface SoakCommand {
  readonly only: readonly Part[];
  readonly executions: number;
  readonly seed: number;
  /** Bound on the executions, and again on their end. */
  readonly minutes: number;
  /** Where stores are made and left; a folder that is removed without it. */
  readonly store: string | undefined;
  /** Batches dropped at once. */
  readonly batches: number;
  /** Cases of the fuzzer. */
  readonly cases: number;
  /** Model files that are changed. */
  readonly models: number;
  /** Kinds of changes that are left out, by their names. */
  readonly skip: readonly string[];
  /** Of each Map, with as many edits. */
  readonly shards: number;
  /** Dropped into an inbox. */
  readonly files: number;
  /** How long a task is stopped. */
  readonly stopSeconds: number;
  readonly json: boolean;
  /** Whether to put the tables into docs/results.md too. */
  readonly write: boolean;
}

/** Reads the command line. @throws {Error} naming what is wrong */
export function readOptions(args: readonly string[]): SoakCommand {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', multiple: true, default: ['executions'] },
      executions: { type: 'string', default: '300' },
      seed: { type: 'string', default: '1' },
      minutes: { type: 'string', default: '30' },
      store: { type: 'string' },
      batches: { type: 'string', default: '50' },
      cases: { type: 'string', default: '20000' },
      models: { type: 'string', default: '2000' },
      skip: { type: 'string', multiple: true, default: [] },
      shards: { type: 'string', default: '64' },
      files: { type: 'string', default: '500' },
      'stop-seconds': { type: 'string', default: '60' },
      json: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
    },
  });
  const only = values.only.flatMap((names) => names.split(',')).map((name) => parts.find((part) => part === name));
  if (only.includes(undefined)) throw new Error(`--only: some of ${parts.join(', ')}, got ${values.only.join(', ')}`);
  return {
    only: only as Part[],
    executions: numberOf('executions', values.executions),
    seed: numberOf('seed', values.seed),
    minutes: numberOf('minutes', values.minutes),
    store: values.store,
    batches: numberOf('batches', values.batches),
    cases: numberOf('cases', values.cases),
    models: numberOf('models', values.models),
    skip: values.skip,
    shards: numberOf('shards', values.shards),
    files: numberOf('files', values.files),
    stopSeconds: numberOf('stop-seconds', values['stop-seconds']),
    json: values.json,
    write: values.write,
  };
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`--${name}: a number above 0, got ${text}`);
}
