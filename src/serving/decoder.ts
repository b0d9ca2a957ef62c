import { setImmediate as nextTurn } from 'node:timers/promises';
import type { HookLayer } from '../editing/index.js';
import type { Generated, GrowingSequence } from './growing-sequence.js';
import type { SequenceBatch } from './sequence-batch.js';

/** Most sequences of one batch. Others wait until one ends. */
const batchLimit = 64;

/** Most tokens of the prompts that join at one step, unless one alone has more: a run holds up everything else. */
const joiningTokens = 512;

/** A sequence and its waiting caller. */
interface Job {
  readonly sequence: GrowingSequence;
  readonly resolve: (result: Generated) => void;
  readonly reject: (error: unknown) => void;
}

/** Sequences under the same hooks. */
interface Lane {
  readonly batch: SequenceBatch;
  waiting: Job[];
  active: Job[];
}

/**
 * Generates any number of sequences at the same time. Those with the same hooks are computed together, and a new one
 * joins at the next step. Batches take turns. A sequence keeps the hooks that it began with.
 */
export class Decoder {
  readonly #lanes = new Map<readonly HookLayer[] | undefined, Lane>();
  #isRunning = false;
  readonly #batchUnder: (hooks: readonly HookLayer[] | undefined) => SequenceBatch;

  constructor(batchUnder: (hooks: readonly HookLayer[] | undefined) => SequenceBatch) {
    this.#batchUnder = batchUnder;
  }

  /** @param hooks the same object for the same hooks */
  run(sequence: GrowingSequence, hooks: readonly HookLayer[] | undefined): Promise<Generated> {
    return new Promise((resolve, reject) => {
      const lane = this.#lanes.get(hooks) ?? { batch: this.#batchUnder(hooks), waiting: [], active: [] };
      this.#lanes.set(hooks, lane);
      lane.waiting.push({ sequence, resolve, reject });
      if (!this.#isRunning) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#isRunning = true;
    while (this.#lanes.size > 0) {
      for (const [hooks, lane] of this.#lanes) {
        await advance(lane);
        if (lane.waiting.length + lane.active.length === 0) this.#lanes.delete(hooks);
        // A run blocks the event loop, so everything else gets its turn here.
        await nextTurn();
      }
    }
    this.#isRunning = false;
  }
}

/** One step of a lane. If it fails, all active sequences of the lane fail. */
async function advance(lane: Lane): Promise<void> {
  const isOpen = ({ sequence }: Job) => sequence.finishReason === undefined;
  try {
    await lane.batch.step();
    const [gone, waiting] = partition(lane.waiting, (job) => !isOpen(job));
    const newcomers = waiting.splice(0, joiningCount(waiting, batchLimit - lane.batch.size));
    lane.waiting = waiting;
    lane.active.push(...gone, ...newcomers);
    await lane.batch.join(newcomers.map(({ sequence }) => sequence));
  } catch (error) {
    for (const { sequence, reject } of lane.active) {
      sequence.finishReason ??= 'aborted';
      reject(error);
    }
    lane.active = [];
  }
  const [active, ended] = partition(lane.active, isOpen);
  lane.active = active;
  for (const { sequence, resolve } of ended) resolve(sequence.result);
}

/** How many of the waiting sequences join now, in their order. */
function joiningCount(waiting: readonly Job[], limit: number): number {
  let tokens = 0;
  const past = waiting.findIndex(({ sequence: { promptTokens } }, index) => {
    tokens += promptTokens;
    return index > 0 && tokens > joiningTokens;
  });
  return Math.min(limit, past < 0 ? waiting.length : past);
}

function partition<T>(items: readonly T[], isFirst: (item: T) => boolean): [T[], T[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}
