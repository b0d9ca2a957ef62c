import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { PermanentError } from '../errors.js';
import {
  canonicalJson,
  executionKey,
  executionsPrefix,
  getIfPresent,
  mayBeRunning,
  type ObjectStore,
  parseStored,
  processIdentity,
  putOnce,
} from '../registry/index.js';
import { type ExecutionInput, executionInputSchema, payloads } from '../workflow/index.js';

/** The kinds of events in an execution. */
export const historyEventTypes = [
  'ExecutionStarted',
  'StateEntered',
  'StateExited',
  'StateFailed',
  'StateRetried',
  'StateCaught',
  'MapItemStarted',
  'MapItemSucceeded',
  'MapItemFailed',
  'TaskAttemptFailed',
  'ExecutionSucceeded',
  'ExecutionFailed',
  'ExecutionAborted',
  'ExecutionTimedOut',
] as const;

const historyEventSchema = z.strictObject({
  at: z.iso.datetime(),
  type: z.enum(historyEventTypes),
  /** Name of the state, or of the Map that an item belongs to. */
  state: z.string().optional(),
  /** `Task`, `Map`, `Choice` ... */
  stateType: z.string().optional(),
  /** Of the Map item. */
  index: z.int().nonnegative().optional(),
  /** Name of the error, as Retry and Catch match it. */
  error: z.string().optional(),
  cause: z.string().optional(),
  /** Output of a function, attempt of a retry. */
  detail: z.json().optional(),
});
export type HistoryEvent = z.infer<typeof historyEventSchema>;

const startSchema = z.strictObject({
  schemaVersion: z.literal(1),
  executionId: z.string(),
  input: executionInputSchema,
  startedAt: z.iso.datetime(),
  /** Identity of the process that it runs in. */
  process: z.string(),
});

export const executionStatuses = ['SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT'] as const;

const resultSchema = z.strictObject({
  schemaVersion: z.literal(1),
  status: z.enum(executionStatuses),
  endedAt: z.iso.datetime(),
  error: z.string(),
  cause: z.string(),
  /** The execution's own note; null if it did not get that far. */
  note: payloads.notify.output.nullable(),
});

/** How an execution ended. */
export type ExecutionResult = z.infer<typeof resultSchema>;

/** A stored execution. */
export interface ExecutionRecord extends z.infer<typeof startSchema> {
  readonly name: string;
  /** Undefined while it runs. */
  readonly result: ExecutionResult | undefined;
}

const scheme = 'local:';

/** The id of an execution on this machine. */
export const executionIdOf = (name: string): string => `${scheme}${name}`;

/** The name in an execution's id, or undefined if it runs elsewhere, such as on AWS. */
export const localExecutionName = (executionId: string): string | undefined =>
  executionId.startsWith(scheme) ? executionId.slice(scheme.length) : undefined;

/** `20260311T091502123-4f1c22ab`: names sort by time. */
export function newExecutionName(now: Date): string {
  return `${now.toISOString().replace(/[-:.Z]/g, '')}-${crypto.randomUUID().slice(0, 8)}`;
}

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(`${canonicalJson(value)}\n`);

/** Executions of this process of which something may still run. */
const runningHere = new Set<string>();

/**
 * The stored files of one execution: `execution.json` is written at its start, `history.json` at every change of state,
 * and `result.json` once at its end.
 */
export class ExecutionHistory {
  readonly #store: ObjectStore;
  readonly #name: string;
  readonly #events: HistoryEvent[] = [];
  #writing: Promise<void> | undefined;
  #isStale = false;

  private constructor(store: ObjectStore, name: string) {
    this.#store = store;
    this.#name = name;
  }

  /** Records that an execution runs in this process. */
  static async begin(store: ObjectStore, name: string, input: ExecutionInput, now: Date): Promise<ExecutionHistory> {
    const startedAt = now.toISOString();
    const start = { schemaVersion: 1, executionId: executionIdOf(name), input, startedAt };
    const bytes = encode({ ...start, process: await processIdentity() });
    await persistently(() => putOnce(store, executionKey(name, 'execution.json'), bytes), maxShortTries);
    runningHere.add(name);
    return new ExecutionHistory(store, name);
  }

  /** Records an event. It is stored soon, after all earlier ones. */
  append(event: HistoryEvent): void {
    this.#events.push(event);
    this.#isStale = true;
    // What cannot be written now is written with the next event, or with the end.
    this.#writing ??= this.#write(maxShortTries).catch(() => {
      this.#isStale = true;
    });
  }

  /** Events that come during a write go into the next write. */
  async #write(tries: number): Promise<void> {
    try {
      while (this.#isStale) {
        this.#isStale = false;
        const bytes = encode({ schemaVersion: 1, events: this.#events });
        await persistently(() => this.#store.put(executionKey(this.#name, 'history.json'), bytes), tries);
      }
    } finally {
      this.#writing = undefined;
    }
  }

  /** Notes that nothing of the execution runs any more: other executions of this process need not wait for the record. */
  over(): void {
    runningHere.delete(this.#name);
  }

  /** Writes what is missing of the history, and the end. It is tried for as long as this process runs. */
  async end(result: ExecutionResult): Promise<void> {
    await this.#writing;
    await this.#write(Number.POSITIVE_INFINITY);
    const key = executionKey(this.#name, 'result.json');
    await persistently(() => putOnce(this.#store, key, encode(result)), Number.POSITIVE_INFINITY);
  }
}

const pausesSeconds = [0.1, 0.5, 2, 5, 15];
const maxShortTries = 3;

/** No state machine repeats these writes, and an execution without its end seems to run as long as its process does. */
async function persistently<T>(write: () => Promise<T>, maxTries: number): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await write();
    } catch (error) {
      if (error instanceof PermanentError || tries >= maxTries) throw error;
      // It keeps no process alive.
      await sleep(1000 * (pausesSeconds[tries - 1] ?? pausesSeconds.at(-1)!), undefined, { ref: false });
    }
  }
}

async function readJson<T>(store: ObjectStore, key: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const bytes = await getIfPresent(store, key);
  return bytes && parseStored(new TextDecoder().decode(bytes), schema, key, 'as an execution writes it');
}

/** An execution, or undefined if the store has none of that name. */
export async function readExecution(store: ObjectStore, name: string): Promise<ExecutionRecord | undefined> {
  const start = await readJson(store, executionKey(name, 'execution.json'), startSchema);
  if (start === undefined) return undefined;
  return { ...start, name, result: await readJson(store, executionKey(name, 'result.json'), resultSchema) };
}

const historySchema = z.strictObject({ schemaVersion: z.literal(1), events: z.array(historyEventSchema) });

/** The stored events of an execution, in order. */
export async function readHistory(store: ObjectStore, name: string): Promise<readonly HistoryEvent[]> {
  return (await readJson(store, executionKey(name, 'history.json'), historySchema))?.events ?? [];
}

/** All executions in the order in which they were started. */
export async function listExecutions(store: ObjectStore): Promise<readonly ExecutionRecord[]> {
  const keys = await store.list(executionsPrefix);
  const names = new Set(keys.map((key) => key.slice(executionsPrefix.length).split('/')[0]));
  const records = await Promise.all([...names].sort().map((name) => readExecution(store, name)));
  return records.filter((record) => record !== undefined);
}

/**
 * Whether an execution has no result and its process may be running. True if it runs elsewhere, where nothing is known.
 */
export async function isExecutionRunning(store: ObjectStore, executionId: string): Promise<boolean> {
  const name = localExecutionName(executionId);
  if (name === undefined) return true;
  if (runningHere.has(name)) return true;
  const record = await readExecution(store, name);
  if (record === undefined || record.result !== undefined) return false;
  // Here nothing runs of it, though its end may not be stored yet.
  return record.process !== (await processIdentity()) && mayBeRunning(record.process);
}

/**
 * Marks executions as aborted whose process ended without writing their end.
 *
 * @returns their names
 */
export async function reapExecutions(store: ObjectStore): Promise<readonly string[]> {
  const reaped: string[] = [];
  for (const { name, result, process, startedAt } of await listExecutions(store)) {
    if (result !== undefined || (await mayBeRunning(process))) continue;
    const last = (await readHistory(store, name)).at(-1);
    const end = { status: 'ABORTED', endedAt: last?.at ?? startedAt, note: null };
    const reason = { error: 'ProcessEnded', cause: 'the process that it ran in ended' };
    await putOnce(store, executionKey(name, 'result.json'), encode({ schemaVersion: 1, ...end, ...reason }));
    reaped.push(name);
  }
  return reaped;
}
