import type { GateRow } from '../../evaluation/index.js';
import {
  type JsonValue,
  type Manifest,
  type ObjectStore,
  readManifest,
  readStored,
  roundPrefix,
} from '../../registry/index.js';
import { type RenamedEdit, type ValidationRecord, validationRecordSchema } from '../../rounds/index.js';
import { readPlan } from './round-files.js';

/** What a published version did, in short. */
export interface PublishedRound {
  readonly version: number;
  /** Edits of its own round. */
  readonly edits: number;
  readonly metrics: JsonValue;
  /** Greedy text after each edit's prompt. */
  readonly examples: readonly { readonly prompt: string; readonly before: string; readonly after: string }[];
  /** The same weights behind each gate; empty where they were not compared. */
  readonly gates: readonly GateRow[];
  /** Edits that were written under another id than their batch gave them. */
  readonly renamed: readonly RenamedEdit[];
}

/**
 * Reads what a version of the workflow did from its manifest and the records of its round. Of a version that was not made
 * by the workflow the examples and gates are empty.
 */
export async function readPublishedRound(
  store: ObjectStore,
  modelId: string,
  version: number,
): Promise<PublishedRound> {
  const manifest = await readManifest(store, modelId, version);
  const own = manifest.edits.filter((edit) => edit.version === version);
  const { records, renamed } = await recordsOf(store, manifest);
  const answers = new Map(records.flatMap((record) => record.answers.map((answer) => [answer.id, answer.text])));
  const before = new Map(records.flatMap((record) => record.before.map((answer) => [answer.id, answer.text])));
  const examples = own
    .filter((edit) => answers.has(edit.id))
    .map(({ id, prompt, subject }) => ({
      prompt: prompt.replace('{}', () => subject),
      before: before.get(id) ?? '',
      after: answers.get(id) ?? '',
    }));
  const { metrics } = manifest;
  const gates = records.flatMap((record) => record.gates) as GateRow[];
  return { version, edits: own.length, metrics, examples, gates, renamed };
}

interface RoundRecords {
  readonly records: readonly ValidationRecord[];
  readonly renamed: readonly RenamedEdit[];
}

/** What is kept of the solve that was published: the last one of the plan on the version's parent. */
async function recordsOf(store: ObjectStore, manifest: Manifest): Promise<RoundRecords> {
  const none: RoundRecords = { records: [], renamed: [] };
  const roundId = /^round ([0-9a-f]{16})$/.exec(manifest.publishedBy)?.[1];
  if (roundId === undefined) return none;
  const prefix = roundPrefix(manifest.modelId, roundId);
  const keys = await store.list(prefix);
  for (const key of keys.filter((name) => name.endsWith('/plan.json'))) {
    const plan = await readPlan(store, key);
    if ((plan.base?.version ?? null) !== manifest.parent) continue;
    const found = lastValidations(keys, key.slice(0, -'plan.json'.length));
    if (found.length === 0) continue;
    const records = await Promise.all(found.map((name) => readStored(store, name, validationForm)));
    return { records, renamed: plan.renamed ?? [] };
  }
  return none;
}

function lastValidations(keys: readonly string[], planPrefix: string): string[] {
  const parts = keys.flatMap((key) => {
    const match = key.startsWith(planPrefix)
      ? /^attempt-(\d+)\/validation-(\d+)\.json$/.exec(key.slice(planPrefix.length))
      : null;
    return match ? [{ key, attempt: Number(match[1]), shard: Number(match[2]) }] : [];
  });
  const last = Math.max(...parts.map(({ attempt }) => attempt));
  return parts
    .filter(({ attempt }) => attempt === last)
    .sort((first, second) => first.shard - second.shard)
    .map(({ key }) => key);
}

const validationForm = { schema: validationRecordSchema, what: 'the record of a validation' };
