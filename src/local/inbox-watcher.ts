import { type Arrival, inboxPrefix, modelIdOfIncomingKey, type ObjectStore } from '../registry/index.js';
import { type ExecutionInput, refusalOf, registeredModels, stateOf } from '../workflow/index.js';
import { Backoff } from './backoff.js';

/** An execution that was started for dropped files. */
export interface StartedExecution {
  /** Resolves when nothing of it runs any more. */
  readonly ended: Promise<unknown>;
}

export interface InboxWatcherOptions {
  /** A store in a folder. */
  readonly store: ObjectStore;
  /** Starts an execution that ingests an object and all that arrived before it. */
  readonly start: (input: ExecutionInput) => Promise<StartedExecution>;
  /** Is told once of each file that cannot be taken, and of each failure, in one line. */
  readonly onProblem: (message: string) => void;
  /** Pause between two looks into the inboxes; half a second by default. */
  readonly scanSeconds?: number;
}

/** A watch. It goes on until it is closed. */
export interface InboxWatcher {
  close(): Promise<void>;
}

/** Between two looks at what was written to files after they had been taken. */
const lateWriteSeconds = 5;

/**
 * Looks into the inboxes again and again, and starts an execution for what waits there. What still waits when its execution
 * has ended, or could not be started, is tried again, after growing pauses. The looking never ends by itself.
 */
export function watchInboxes(options: InboxWatcherOptions): InboxWatcher {
  const watch = new InboxWatch(options);
  const pauseMilliseconds = 1000 * (options.scanSeconds ?? 0.5);
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let looking: Promise<void>;
  const look = () => {
    looking = watch.look().then(() => {
      if (!isClosed) timer = setTimeout(look, pauseMilliseconds);
    });
  };
  look();
  return {
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      await looking;
    },
  };
}

/** A file that was tried. */
interface Trial {
  isUnderWay: boolean;
  readonly backoff: Backoff;
}

/** What is known of the inboxes between two looks. */
class InboxWatch {
  readonly #options: InboxWatcherOptions;
  /** By what names a file's state. */
  readonly #trials = new Map<string, Trial>();
  readonly #refused = new Set<string>();
  /** What was told of each file. */
  readonly #told = new Map<string, string>();
  #failure = '';
  #lateWritesAt = 0;

  constructor(options: InboxWatcherOptions) {
    this.#options = options;
  }

  /** Looks once. Whatever fails is told, and tried again with the next look. */
  async look(): Promise<void> {
    try {
      await this.#dropLateWrites();
      const { store } = this.#options;
      const arrivals = await store.arrivals(inboxPrefix);
      const registered = new Set(arrivals.length === 0 ? [] : await registeredModels(store));
      const waiting = new Map<string, Arrival[]>();
      for (const arrival of arrivals) {
        const modelId = modelIdOfIncomingKey(arrival.key);
        const problem = problemOf(arrival, modelId, registered);
        if (problem !== undefined) this.#tellOnce(arrival, problem);
        else if (modelId !== undefined && (await this.#isWaiting(modelId, arrival)))
          waiting.set(modelId, [...(waiting.get(modelId) ?? []), arrival]);
      }
      this.#forgetAllBut(arrivals);
      for (const [modelId, files] of waiting) this.#startFor(modelId, files);
      this.#failure = '';
    } catch (error) {
      this.#tellFailure(error);
    }
  }

  async #dropLateWrites(): Promise<void> {
    const now = performance.now();
    if (now < this.#lateWritesAt) return;
    this.#lateWritesAt = now + 1000 * lateWriteSeconds;
    await this.#options.store.dropLateWrites();
  }

  async #isWaiting(modelId: string, arrival: Arrival): Promise<boolean> {
    if (stateOf(arrival).state !== 'waiting') return false;
    const name = nameOf(arrival);
    if (this.#refused.has(name)) return false;
    // It is refused by the execution that reads it.
    const isBeingRead = this.#trials.get(name)?.isUnderWay === true;
    if (!isBeingRead && (await refusalOf(this.#options.store, modelId, arrival)) !== undefined) this.#refused.add(name);
    return !this.#refused.has(name);
  }

  #startFor(modelId: string, files: readonly Arrival[]): void {
    const due = files.filter((file) => this.#trialOf(file).backoff.isDue && !this.#trialOf(file).isUnderWay);
    const last = due.at(-1);
    if (last === undefined) return;
    const trials = due.map((file) => this.#trialOf(file));
    for (const trial of trials) trial.isUnderWay = true;
    this.#options
      .start({ trigger: 'drop', objectKey: last.key, modelId: '' })
      .then(({ ended }) => ended)
      .catch((error: unknown) => this.#tellFailure(error, `inbox of ${modelId}: `))
      .finally(() => {
        for (const trial of trials) {
          trial.isUnderWay = false;
          trial.backoff.failed();
        }
      });
  }

  #trialOf(arrival: Arrival): Trial {
    const name = nameOf(arrival);
    const trial = this.#trials.get(name) ?? { isUnderWay: false, backoff: new Backoff() };
    this.#trials.set(name, trial);
    return trial;
  }

  #tellOnce(arrival: Arrival, problem: string): void {
    const name = nameOf(arrival);
    if (this.#told.get(name) !== problem) this.#options.onProblem(`${arrival.key}: ${problem}`);
    this.#told.set(name, problem);
  }

  #tellFailure(error: unknown, what = ''): void {
    const message = `${what}${error instanceof Error ? error.message : String(error)}`;
    if (message !== this.#failure) this.#options.onProblem(message);
    this.#failure = message;
  }

  /** Files that are gone or have changed are not remembered. */
  #forgetAllBut(arrivals: readonly Arrival[]): void {
    const names = new Set(arrivals.map(nameOf));
    for (const [name, { isUnderWay }] of this.#trials) if (!names.has(name) && !isUnderWay) this.#trials.delete(name);
    for (const known of [this.#refused, this.#told])
      for (const name of known.keys()) if (!names.has(name)) known.delete(name);
  }
}

const nameOf = ({ key, stamp }: Arrival): string => `${stamp} ${key}`;

/** Why a file is of no use; undefined if it may be taken, now or later. */
function problemOf(arrival: Arrival, modelId: string | undefined, registered: ReadonlySet<string>): string | undefined {
  const { state, reason } = stateOf(arrival);
  if (state === 'passed over') return undefined;
  if (state === 'unreadable') return `left where it is: ${reason}`;
  if (modelId === undefined) return `left where it is: a file in incoming/<model id>/, got ${arrival.key}`;
  return registered.has(modelId)
    ? undefined
    : `left where it is: a model that is registered, got ${modelId} (hookline model register, or hookline up --model)`;
}
