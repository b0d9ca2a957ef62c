import { HooklineError, TransientError } from '../errors.js';
import {
  type ContentCache,
  type Manifest,
  ModelVersions,
  type ObjectStore,
  type PulledVersion,
  watchVersions,
} from '../registry/index.js';
import type { EditedModel, VersionHooks } from '../serving/index.js';
import { refusal } from './refusal.js';
import type { ServiceLog } from './service-event.js';
import type { ServiceMetrics } from './service-metrics.js';

/** The model whose versions are served, and what they are served with. */
export interface LineageOptions {
  readonly edited: EditedModel;
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly cache?: ContentCache;
  readonly metrics: ServiceMetrics;
  readonly log: ServiceLog;
  /** Called with every version that becomes the current one. */
  readonly onSwitch?: (version: VersionHooks) => void;
}

/** How many of the most recently used versions stay prepared. */
const maxPrepared = 4;

/** The served versions of one model id. It follows the latest version, and prepares others by number on request. */
export class Lineage {
  readonly modelId: string;
  readonly #versions: ModelVersions;
  /** Prepared versions by number, the least recently used first. */
  readonly #prepared = new Map<number, Promise<VersionHooks>>();
  #current: VersionHooks | undefined;
  /** Whether the store held no version at the last look. */
  #isEmpty = false;
  #trouble: string | undefined;
  readonly #options: LineageOptions;

  constructor(options: LineageOptions) {
    this.#options = options;
    const { edited, store, modelId, cache } = options;
    this.modelId = modelId;
    this.#versions = new ModelVersions({ store, modelId, modelDigest: edited.modelDigest, ...(cache && { cache }) });
  }

  /** The version that is served as the latest; undefined while none is published or none is ready. */
  get current(): VersionHooks | undefined {
    return this.#current;
  }

  /** The error of the last look at the store; undefined if it went well. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Whether requests without a version can be answered: by the latest one, or by the base model if none exists. */
  get isReady(): boolean {
    return this.#current !== undefined || this.#isEmpty;
  }

  /**
   * The version that answers requests which name none. Undefined stands for the base model, if no version exists yet.
   * @throws {HTTPException} 503 while its first version is not ready
   */
  latest(): VersionHooks | undefined {
    if (this.isReady) return this.#current;
    const why = this.#trouble ?? 'it is being prepared';
    throw refusal(503, `model ${this.modelId}: a version that is ready, got none: ${why}`, { code: 'not_ready' });
  }

  /**
   * Finds a version by its number, and prepares it if needed.
   * @throws {InvalidInputError} if there is no such published version
   * @throws {HooklineError} if the version is refused (as for another model), or the store does not answer
   */
  async version(version: number): Promise<VersionHooks> {
    if (this.#current?.manifest.version === version) return this.#current;
    return this.#keep(version, async () =>
      this.#options.edited.prepare(await this.#versions.pull(version), this.#current),
    );
  }

  /**
   * A version's report, as it was published; undefined if it has none.
   * @throws {InvalidInputError} if there is no such published version
   */
  async report(version: number): Promise<Uint8Array | undefined> {
    const { files } = await this.#manifest(version);
    const file = files.find(({ role }) => role === 'report');
    return file && this.#versions.content(file);
  }

  /** Switches to each new version that the store's `latest` names, until the signal aborts. */
  watch(intervalSeconds: number, signal: AbortSignal): Promise<void> {
    const watched = { pullLatest: () => this.#look() };
    return watchVersions(watched, {
      onVersion: async (pulled) => {
        const started = performance.now();
        const { version } = pulled.manifest;
        const prepared = await this.#keep(version, () => this.#options.edited.prepare(pulled, this.#current));
        this.#switchTo(prepared, (performance.now() - started) / 1000);
      },
      onError: (error) => this.#hearOf(error),
      intervalSeconds,
      signal,
    });
  }

  async #look(): Promise<PulledVersion | undefined> {
    const pulled = await this.#versions.pullLatest();
    this.#isEmpty = pulled === undefined;
    this.#trouble = undefined;
    return pulled;
  }

  #manifest(version: number): Promise<Manifest> | Manifest {
    const current = this.#current?.manifest;
    return current?.version === version ? current : this.#versions.version(version);
  }

  #switchTo(version: VersionHooks, seconds: number): void {
    const { modelId } = this;
    const { metrics, log, onSwitch } = this.#options;
    const from = this.#current?.manifest.version ?? null;
    const to = version.manifest.version;
    this.#current = version;
    this.#trouble = undefined;
    if (from === to) return;
    onSwitch?.(version);
    metrics.switched(modelId, to, seconds);
    log({ event: 'switched', modelId, from, to, seconds });
  }

  /** Logs an error once, not at every look at the store that repeats it. */
  #hearOf(error: unknown): void {
    const { modelId } = this;
    const message = error instanceof Error ? error.message : String(error);
    if (message === this.#trouble) return;
    this.#trouble = message;
    const isRefused = error instanceof HooklineError && !(error instanceof TransientError);
    if (isRefused) this.#options.metrics.refused(modelId);
    const serving = this.#current?.manifest.version ?? null;
    this.#options.log({ event: isRefused ? 'refused' : 'unreachable', modelId, serving, message });
  }

  #keep(version: number, prepare: () => Promise<VersionHooks>): Promise<VersionHooks> {
    const prepared = this.#prepared.get(version) ?? prepare();
    this.#prepared.delete(version);
    this.#prepared.set(version, prepared);
    const forget = () => this.#prepared.get(version) === prepared && this.#prepared.delete(version);
    // A failure is not kept, so that the next request tries again. The caller gets the error from `prepared` itself.
    prepared.catch(forget);
    if (this.#prepared.size > maxPrepared) this.#prepared.delete(this.#prepared.keys().next().value!);
    return prepared;
  }
}
