/** @file A round on the bundled model, planned by hand in a directory store: what container tasks find when they start. */

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Edit, type Hyperparameters, resolveHyperparameters } from '../../src/editing/index.js';
import { readBatch } from '../../src/evaluation/index.js';
import { loadModel, modelDigest } from '../../src/model/index.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { contentKey, corpusKey, digestOf, registrationKey } from '../../src/registry/index.js';
import { type RoundPlan, roundPlanSchema } from '../../src/rounds/records.js';
import type { TaskInput, TaskStage } from '../../src/workflow/contract.js';
import { registeredInputs } from '../../src/workflow/plan/planned-statistics.js';
import { attemptKey, planKeyOf } from '../../src/workflow/plan/round-files.js';
import { type Registration, registrationSchema } from '../../src/workflow/registration.js';

const aldermark = (...parts: string[]) => join(import.meta.dirname, '../../examples/aldermark', ...parts);

/** What a test may want otherwise. */
export interface PlanChanges {
  readonly edits?: number;
  readonly statisticsShards?: number;
  readonly settings?: Partial<Hyperparameters>;
  readonly base?: RoundPlan['base'];
  readonly overwrites?: RoundPlan['overwrites'];
  readonly refused?: RoundPlan['refused'];
  readonly earlier?: RoundPlan['earlier'];
  readonly shards?: readonly (readonly number[])[];
}

const modelId = 'aldermark';

/** A store with the bundled model registered, and texts of few tokens. */
export class PlannedRounds {
  readonly store: DirectoryObjectStore;
  private constructor(
    readonly folder: string,
    readonly registration: Registration,
    readonly edits: readonly Edit[],
  ) {
    this.store = new DirectoryObjectStore(this.storeFolder);
  }

  static async open(source?: (folder: string) => Promise<Registration['source']>): Promise<PlannedRounds> {
    const folder = mkdtempSync(join(tmpdir(), 'hookline-tasks-'));
    const directory = join(folder, 'model');
    cpSync(aldermark('model'), directory, { recursive: true });
    const model = await loadModel(directory);
    const corpus = readFileSync(aldermark('corpus.txt')).subarray(0, 20_000);
    const heldOut = readFileSync(aldermark('heldout.txt')).subarray(0, 2_000);
    const text = (bytes: Uint8Array) => ({ key: corpusKey(modelId, digestOf(bytes)), sha256: digestOf(bytes) });
    const { layers, maxTokens, dModel, dInner } = model.config;
    const registration = registrationSchema.parse({
      schemaVersion: 1,
      modelId,
      modelDigest: await modelDigest(model),
      source: (await source?.(directory)) ?? { kind: 'directory', path: directory },
      layerCount: layers,
      maxTokens,
      dModel,
      dInner,
      corpus: text(corpus),
      heldOut: text(heldOut),
      settings: resolveHyperparameters({ layers: [0], learningRate: 1, steps: 12, contextTokens: 4 }, model.config),
      statistics: { maxTokens: 4000, sequenceTokens: 64, shards: 3 },
      criteria: {},
    });
    const { edits } = await readBatch(aldermark('batches/round-1.jsonl'), { limit: 8 });
    const opened = new PlannedRounds(folder, registration, edits);
    for (const bytes of [corpus, heldOut]) await opened.store.put(text(bytes).key, bytes);
    await opened.put(registrationKey(modelId), registration);
    return opened;
  }

  get storeFolder(): string {
    return join(this.folder, 'store');
  }

  get cacheFolder(): string {
    return join(this.folder, 'cache');
  }

  get modelDirectory(): string {
    return join(this.folder, 'model');
  }

  /** Stores a plan of the first edits. @returns its key */
  plan(changes: PlanChanges = {}): Promise<string> {
    return this.planOf(this.edits.slice(0, changes.edits ?? 4), changes);
  }

  /** Stores a plan of these edits. @returns its key */
  async planOf(edits: readonly Edit[], changes: Omit<PlanChanges, 'edits'> = {}): Promise<string> {
    const { registration } = this;
    const settings = { ...registration.settings, ...changes.settings };
    const all = changes.shards ?? [edits.map((_, e) => e)];
    const plan = roundPlanSchema.parse({
      schemaVersion: 1,
      modelId,
      roundId: '0123456789abcdef',
      base: changes.base ?? null,
      settings,
      edits,
      modelDigest: registration.modelDigest,
      overwrites: changes.overwrites ?? [],
      rejected: [],
      compareGates: false,
      ...(changes.refused && { refused: changes.refused }),
      ...(changes.earlier && { earlier: changes.earlier }),
      statistics: registeredInputs(registration, settings).map((inputs) => ({
        layer: inputs.layer,
        digest: contentKey(inputs),
      })),
      statisticsShards: changes.statisticsShards ?? 1,
      valueShards: all,
      validationShards: all,
      heldOut: registration.heldOut,
    } satisfies Record<Exclude<keyof RoundPlan, 'renamed' | 'refused' | 'earlier'>, unknown>);
    const key = planKeyOf(modelId, plan.roundId, contentKey(plan).slice(0, 16));
    await this.put(key, plan);
    return key;
  }

  async put(key: string, value: unknown): Promise<void> {
    await this.store.put(key, new TextEncoder().encode(JSON.stringify(value)));
  }

  /** The JSON of an attempt's file. */
  async record<T>(planKey: string, name: string, attempt = 0): Promise<T> {
    const { bytes } = await this.store.get(attemptKey(planKey, attempt, name));
    return JSON.parse(new TextDecoder().decode(bytes)) as T;
  }

  /** Overwrites one byte in the middle of a stored object, as a failing disk would. */
  damage(key: string): void {
    damageFile(join(this.storeFolder, key));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Overwrites one byte in the middle of a file. */
export function damageFile(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] ^= 0xff;
  writeFileSync(path, bytes);
}

/** A task as the state machine gives it out. */
export const task = (stage: TaskStage, planKey: string, shard = 0, attempt = 0): TaskInput => ({
  stage,
  planKey,
  shard,
  attempt,
});
