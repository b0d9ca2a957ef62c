/** @file A model made ready for consecutive rounds in this process. */
import { randomUUID } from 'node:crypto';
import { basename, resolve } from 'node:path';
import { defaultMemoryBudgetBytes, type Hyperparameters, type PresetSettings } from '../../editing/index.js';
import { InvalidInputError, StaleBaseError } from '../../errors.js';
import { completeEdit, type EditInput, type RejectedLine } from '../../evaluation/index.js';
import type { SolverRequest } from '../../linalg/index.js';
import { openModel } from '../../model/index.js';
import type { Listener } from '../../progress.js';
import { type LatestVersion, latest, modelIdFrom, type ObjectStore, openStore } from '../../registry/index.js';
import { type Device, resolveDevice } from '../../runtime/index.js';
import { loadVersionHooks } from '../../serving/index.js';
import { loadStatistics } from '../../statistics/index.js';
import { type PublishCriteria, parseCriteria } from '../criteria.js';
import { heldOutSequences } from '../held-out-sequences.js';
import { layerStatistics } from '../layer-statistics.js';
import { digestOfModel } from '../model-digest.js';
import { type Revocation, revokeEdits } from '../revoke/revoke-edits.js';
import type { RevokeSelection } from '../revoke/revoke-selection.js';
import { requireSameModel, roundSettings } from '../round-settings.js';
import { Workbench } from '../workbench.js';
import { editRound, type RoundBase, type RoundOutcome, type RoundPlace, type RoundRequest } from './edit-round.js';

/** Token ids, sequence by sequence. */
type TokenSequences = readonly (readonly number[])[];

/** What a model is to be edited with. */
export interface EditSessionRequest {
  /** A store, or its location: a folder or `s3://bucket/prefix`. */
  readonly store: ObjectStore | string;
  /** A Hugging Face directory. */
  readonly modelDirectory: string;
  /** The model's name in the store; derived from its folder's name unless given. */
  readonly modelId?: string;
  /** Settings that override those of the model's preset. */
  readonly settings?: Partial<PresetSettings>;
  /** Text for key statistics; not needed where they are stored. */
  readonly corpusPath?: string;
  /** Ordinary text on which drift is measured: a file, or token sequences. */
  readonly heldOut?: string | TokenSequences;
  /** What decides on publication, where it differs from the defaults; null publishes every round. */
  readonly criteria?: Partial<PublishCriteria> | null;
  /** The fastest one of this machine unless given. */
  readonly device?: Device;
  /** What factors the key statistics; `auto` unless given. */
  readonly solver?: SolverRequest;
  /** Bytes that activations may take; 1.5 GiB unless given. */
  readonly memoryBudgetBytes?: number;
}

/** What is optional about writing batches. */
export interface EditOptions {
  /** Lines that are no edits, for the first report. */
  readonly rejected?: readonly RejectedLine[];
  /** Whether the last round's report compares the kinds of gate on its edits; false unless given. */
  readonly compareGates?: boolean;
  /** Who publishes, see `PublishRequest`; a random name unless given. */
  readonly publishedBy?: string;
}

/** How edits are revoked; see `RevokeEditsRequest`. */
export interface RevokeOptions {
  /** How much reliability any other edit may lose; 0 unless given. */
  readonly tolerance?: number;
  /** Whether to publish although another edit loses more. */
  readonly force?: boolean;
  readonly publishedBy?: string;
}

/**
 * Opens a model, its key statistics (the covariance of its keys) and its latest version. Settings that all versions of a model
 * share, such as layers, gate and seed, are taken from the latest version.
 *
 * @throws {InvalidInputError} if the store's versions are another model's, or a setting contradicts them
 */
export async function openEditSession(request: EditSessionRequest, listener: Listener = {}): Promise<EditSession> {
  const store = typeof request.store === 'string' ? openStore(request.store) : request.store;
  const modelId = request.modelId ?? modelIdFrom(basename(resolve(request.modelDirectory)));
  const criteria = request.criteria === null ? null : parseCriteria(request.criteria ?? {});
  const device = request.device ?? (await resolveDevice('auto', listener));
  const { model, tokenizer } = await openModel(request.modelDirectory);
  const modelDigest = await digestOfModel(model, listener);
  const base = await openBase(store, modelId, modelDigest, device);
  const settings = await roundSettings(model, base?.latest, request.settings ?? {});
  const { memoryBudgetBytes = defaultMemoryBudgetBytes } = request;
  const parts = { store, modelId, modelDigest, model, tokenizer, settings, device, memoryBudgetBytes };
  const { statistics, digests, notices } = base
    ? await loadStatistics({ store, modelId, model }, base.latest.manifest.statistics)
    : await layerStatistics({ ...request, ...parts, layers: settings.layers, seed: settings.seed }, listener);
  for (const notice of notices) listener.onNotice?.(notice);
  const heldOut =
    typeof request.heldOut === 'object'
      ? request.heldOut
      : await heldOutSequences(request.heldOut, { model, tokenizer });
  const planned = settings.layers.map((layer) => ({ layer, digest: digests[layer] }));
  return new EditSession(new Workbench({ ...parts, statistics }), base, { statistics: planned, heldOut, criteria });
}

/** How often a round begins again because another version was published meanwhile. */
const mostTries = 5;

/** A model that is ready for rounds on top of the store's latest version. Close it after use. */
export class EditSession {
  readonly bench: Workbench;
  #base: RoundBase | undefined;
  #isClosed = false;
  readonly #place: Omit<RoundPlace, 'bench' | 'publishedBy'>;

  constructor(bench: Workbench, base: RoundBase | undefined, place: Omit<RoundPlace, 'bench' | 'publishedBy'>) {
    this.bench = bench;
    this.#base = base;
    this.#place = place;
  }

  get store(): ObjectStore {
    return this.bench.store;
  }

  get modelId(): string {
    return this.bench.modelId;
  }

  get modelDigest(): string {
    return this.bench.modelDigest;
  }

  /** The settings of every round of this session. */
  get settings(): Hyperparameters {
    return this.bench.settings;
  }

  /** Content key of each hooked layer's key statistics. */
  get statistics(): RoundPlace['statistics'] {
    return this.#place.statistics;
  }

  /** The version that the next round stands on; undefined before the first. */
  get latest(): LatestVersion | undefined {
    return this.#base?.latest;
  }

  /**
   * Writes batches as consecutive rounds, and yields the outcome of each as soon as it ended. A round that the criteria
   * reject publishes nothing, and the next one stands on the same version.
   *
   * If somebody else publishes meanwhile, the round begins again on what is the latest version then.
   *
   * @throws {InvalidInputError} if a batch has no edits, or an id or a fact twice, or the session is closed
   * @throws {StaleBaseError} if others were faster time and again
   */
  async *edit(
    batches: readonly (readonly EditInput[])[],
    { rejected = [], compareGates = false, publishedBy = `hookline edit ${randomUUID()}` }: EditOptions = {},
    listener: Listener = {},
  ): AsyncGenerator<RoundOutcome> {
    for (const [index, edits] of batches.entries()) {
      const isLast = index === batches.length - 1;
      const request = {
        edits: edits.map(completeEdit),
        rejected: index === 0 ? rejected : [],
        compareGates: compareGates && isLast,
      };
      yield await this.#round(request, publishedBy, listener);
    }
  }

  /**
   * Publishes the latest version without some of its edits; see `revokeEdits`.
   *
   * @throws {InvalidInputError} if an edit that is meant is not active, or another loses more than is tolerated
   */
  async revoke(
    selection: Partial<RevokeSelection>,
    { tolerance = 0, force = false, publishedBy = `hookline revoke ${randomUUID()}` }: RevokeOptions = {},
    listener: Listener = {},
  ): Promise<Revocation> {
    this.#requireOpen();
    const { store, modelId, tokenizer } = this.bench;
    const { heldOut } = this.#place;
    const subject = { edited: await this.bench.edited(), tokenizer };
    const selected = { ids: [], ...selection };
    const revocation = await revokeEdits(
      { store, modelId, selection: selected, subject, heldOut, tolerance, force, publishedBy },
      listener,
    );
    await this.#standOn(revocation.published);
    return revocation;
  }

  /** Frees what was compiled. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.bench.dispose();
  }

  async #round(request: Omit<RoundRequest, 'base'>, publishedBy: string, listener: Listener): Promise<RoundOutcome> {
    for (let tries = 1; ; tries++) {
      this.#requireOpen();
      try {
        const place = { ...this.#place, bench: this.bench, publishedBy };
        const { outcome, published } = await editRound(place, { ...request, base: this.#base }, listener);
        if (published) await this.#standOn(published);
        return outcome;
      } catch (error) {
        if (!(error instanceof StaleBaseError) || tries === mostTries) throw error;
        const current = await latest(this.store, this.modelId);
        if (current === undefined) throw error;
        listener.onNotice?.(`version ${current.version} became the latest meanwhile: the round begins again on it`);
        await this.#standOn(current);
      }
    }
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new InvalidInputError('edit session', 'an open one', 'one that was closed');
  }

  async #standOn(published: LatestVersion): Promise<void> {
    const { store, modelId, device } = this.bench;
    const held = this.#base?.loaded;
    const options = { held, ...(device && { device }) };
    this.#base = {
      latest: published,
      loaded: await loadVersionHooks(store, modelId, published.version, options),
    };
  }
}

async function openBase(
  store: ObjectStore,
  modelId: string,
  digest: string,
  device: Device,
): Promise<RoundBase | undefined> {
  const current = await latest(store, modelId);
  requireSameModel(modelId, digest, current);
  if (current === undefined) return undefined;
  return { latest: current, loaded: await loadVersionHooks(store, modelId, current.version, { device }) };
}
