import type { Message } from './messages.js';

/** How often processes are killed. */
export interface KillRates {
  /** Of the container tasks, by start. */
  readonly task: number;
  /** Of the runner, by state that is entered. */
  readonly runner: number;
}

/** What a killer kills. */
export interface Victims {
  /** @returns whether it still ran */
  killTask(pid: number): boolean;
  killRunner(): void;
}

/** Kills processes at random moments of every stage: rare stages more often than others. */
export class Killer {
  /** By stage of the task, and by state that the runner was in. */
  readonly tasks: Record<string, number> = {};
  readonly runners: Record<string, number> = {};
  isEnabled = true;
  readonly #open = new Map<string, number>();
  readonly #usual = new Map<string, number>();
  #timers: NodeJS.Timeout[] = [];

  constructor(
    readonly rates: KillRates,
    readonly random: () => number,
    readonly victims: Victims,
  ) {}

  /** Hears what a runner and its tasks tell. */
  hear(message: Message): void {
    if (message.kind === 'task') {
      this.#begin(`task ${message.pid}`);
      this.#maybe(this.rates.task, this.tasks, message.stage, `task ${message.pid}`, () =>
        this.victims.killTask(message.pid),
      );
    } else if (message.kind === 'task ended') this.#end(`task ${message.pid}`, message.stage);
    else if (message.kind === 'entered') {
      const place = `${message.execution} ${message.state}`;
      this.#begin(place);
      const kill = () => {
        this.victims.killRunner();
        return true;
      };
      this.#maybe(this.rates.runner, this.runners, message.state, place, kill);
    } else if (message.kind === 'left') this.#end(`${message.execution} ${message.state}`, message.state);
  }

  /** Forgets what was to be killed: the runner is gone. */
  reset(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [];
    this.#open.clear();
  }

  #begin(place: string): void {
    this.#open.set(place, performance.now());
  }

  #end(place: string, stage: string): void {
    const since = this.#open.get(place);
    if (since === undefined) return;
    this.#open.delete(place);
    const took = performance.now() - since;
    this.#usual.set(stage, 0.8 * (this.#usual.get(stage) ?? took) + 0.2 * took);
  }

  #maybe(rate: number, counts: Record<string, number>, stage: string, place: string, kill: () => boolean): void {
    counts[stage] ??= 0;
    const isRare = counts[stage] <= Math.min(...Object.values(counts));
    const chance = this.random();
    const moment = this.random() * (this.#usual.get(stage) ?? 200);
    if (!this.isEnabled || chance >= rate * (isRare ? 3 : 0.6)) return;
    this.#timers.push(
      setTimeout(() => {
        if (this.isEnabled && this.#open.has(place) && kill()) counts[stage]++;
      }, moment),
    );
  }
}
