import type { GateRow } from '../../evaluation/index.js';
import {
  findStored,
  type JsonValue,
  type Manifest,
  type ObjectStore,
  readManifest,
  readStored,
  roundPrefix,
} from '../../registry/index.js';
import {
  type RejectedEdits,
  type RenamedEdit,
  type RoundPlan,
  roundNotes,
  type SolveRecord,
  type ValidationRecord,
} from '../../rounds/index.js';
import { attemptKey, readPlan, readUnwrittenEdits, solveForm, validationForm } from './round-files.js';

/** What a published version did, in short. */
export interface PublishedRound {
  readonly version: number;
  /** Edits of its own round. */
  readonly edits: number;
  readonly metrics: JsonValue;
  /** Greedy text after each edit's prompt. */
  readonly examples: readonly { readonly prompt: string; readonly before: string; readonly after: string }[];
  /** The same weights behind each kind of gate; empty where they were not compared. */
  readonly gates: readonly GateRow[];
  /** Edits that were written under another id than their batch gave them. */
  readonly renamed: readonly RenamedEdit[];
  /** Edits of earlier versions that this one overwrites. */
  readonly overwrites: RoundPlan['overwrites'];
  /** What else a user is told of it; see `roundNotes`. */
  readonly notes: readonly string[];
}

/**
 * Reads from a version's manifest and the records of its round what it did. Where the workflow did not make the version, there
 * are no records, and examples and gates are empty.
 */
export async function readPublishedRound(
  store: ObjectStore,
  modelId: string,
  version: number,
): Promise<PublishedRound> {
  const manifest = await readManifest(store, modelId, version);
  const own = manifest.edits.filter((edit) => edit.version === version);
  const { records, renamed, overwrites, ...noted } = await recordsOf(store, manifest);
  const measurements = records.flatMap((record) => record.measurements);
  const notes = roundNotes({ ...noted, measurements, facts: manifest.edits });
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
  return { version, edits: own.length, metrics, examples, gates, renamed, overwrites, notes };
}

interface RoundRecords {
  readonly records: readonly ValidationRecord[];
  readonly renamed: readonly RenamedEdit[];
  readonly overwrites: RoundPlan['overwrites'];
  readonly rejectedEdits: RejectedEdits;
  readonly rivals: SolveRecord['rivals'];
}

/** The records of the solve that was published: a round may have others, of plans that were given up. */
async function recordsOf(store: ObjectStore, manifest: Manifest): Promise<RoundRecords> {
  const roundId = /^round ([0-9a-f]{16})$/.exec(manifest.publishedBy)?.[1];
  const keys = roundId === undefined ? [] : await store.list(roundPrefix(manifest.modelId, roundId));
  const own = manifest.segments.find(({ version }) => version === manifest.version);
  for (const key of keys) {
    const [, folder, attempt] = /^(.*)\/attempt-(\d+)\/solve\.json$/.exec(key) ?? [];
    if (folder === undefined) continue;
    const { segmentSha256, rivals } = await readStored(store, key, solveForm);
    if (segmentSha256 !== own?.sha256) continue;
    const planKey = `${folder}/plan.json`;
    const { validationShards, overwrites, renamed = [] } = await readPlan(store, planKey);
    const names = validationShards.map((_, shard) => attemptKey(planKey, Number(attempt), `validation-${shard}.json`));
    const records = await Promise.all(names.map((name) => findStored(store, name, validationForm)));
    const rejectedEdits = await readUnwrittenEdits(store, planKey, Number(attempt));
    return { records: records.filter((record) => record !== undefined), renamed, overwrites, rejectedEdits, rivals };
  }
  return { records: [], renamed: [], overwrites: [], rejectedEdits: [], rivals: [] };
}
