import { setTimeout as sleep } from 'node:timers/promises';
import { listVersions, type ObjectStore, pull } from '../../src/registry/index.js';

/** Looks at what readers see, again and again, while versions are published. */
export class LatestWatch {
  /** Complete reads of a latest version. */
  reads = 0;
  readonly broken: string[] = [];
  readonly #latest = new Map<string, number>();
  #isStopped = false;
  #watching: Promise<void> | undefined;

  /** @param models those to look at, as they are at the time */
  constructor(
    readonly store: ObjectStore,
    readonly models: () => readonly string[],
  ) {}

  start(): void {
    this.#watching = this.#watch();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#watching;
  }

  async #watch(): Promise<void> {
    for (let round = 0; !this.#isStopped; round++) {
      for (const modelId of this.models()) {
        try {
          await this.#look(modelId, round % 10 === 0);
        } catch (error) {
          this.broken.push(`latest of ${modelId} during the run: complete, got ${(error as Error).message}`);
        }
      }
      await sleep(200);
    }
  }

  async #look(modelId: string, isThorough: boolean): Promise<void> {
    if ((await this.store.head(`models/${modelId}/latest.json`)) === undefined) return;
    const { version } = (await pull(this.store, modelId)).manifest;
    this.reads++;
    const before = this.#latest.get(modelId) ?? 0;
    if (version < before)
      this.broken.push(`latest of ${modelId}: never an older version, got ${version} after ${before}`);
    this.#latest.set(modelId, version);
    if (!isThorough) return;
    const { published } = await listVersions(this.store, modelId);
    const publishers = published.map(({ publishedBy }) => publishedBy);
    if (new Set(publishers).size !== publishers.length) this.broken.push(`${modelId}: a round was published twice`);
  }
}
