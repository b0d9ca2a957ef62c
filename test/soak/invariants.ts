/** @file What must hold of a store when everything has ended, told from its objects alone. */
import { decodeHookFile } from '../../src/editing/index.js';
import { isExecutionRunning } from '../../src/local/execution-history.js';
import {
  acquireLease,
  batchKey,
  currentRoundKey,
  failedPrefix,
  listVersions,
  type ManifestEdit,
  memoryOf,
  type ObjectStore,
  pendingPrefix,
  pull,
  releaseLease,
  roundPrefix,
  versionFileKey,
} from '../../src/registry/index.js';
import { type Batch, type Fact, factName } from './batches.js';

interface Outcome {
  readonly outcome: 'published' | 'rejected';
  readonly version: number;
  readonly reason: string;
  readonly edits: number;
  readonly rejected: number;
}

/** A round that ended. */
interface EndedRound extends Outcome {
  readonly roundId: string;
  /** `<16 digits of a batch's digest>-<unit>`. */
  readonly units: readonly string[];
}

/** What became of a model's edits, in numbers. */
export interface ModelCounts {
  readonly versions: number;
  readonly roundsRejected: number;
  readonly editsAccepted: number;
  readonly editsPublished: number;
  readonly editsFailed: number;
  readonly editsRejected: number;
  readonly editsOverwritten: number;
}

/** Counts a model's edits and takes down what is not as it must be. */
export class ModelCheck {
  readonly broken: string[] = [];

  constructor(
    readonly store: ObjectStore,
    readonly modelId: string,
    /** Distinct by their digests. */
    readonly batches: readonly Batch[],
  ) {}

  async run(): Promise<ModelCounts> {
    const { published, damaged } = await listVersions(this.store, this.modelId);
    this.#expect(damaged.length === 0, `every published version as it was, got ${JSON.stringify(damaged)}`);
    await this.#checkEnd();
    this.#checkChain(published);
    const rounds = await this.#rounds();
    const own = await this.#checkVersions(published.map(({ version }) => version));
    this.#checkPublishers(published, rounds);
    let counts = { editsPublished: 0, editsFailed: 0, editsRejected: 0 };
    for (const round of rounds) counts = added(counts, await this.#checkRound(round, own));
    const editsAccepted = await this.#checkBatches(rounds);
    this.#expect(
      counts.editsPublished + counts.editsFailed + counts.editsRejected === editsAccepted,
      `every accepted edit in one round, got ${JSON.stringify({ editsAccepted, ...counts })}`,
    );
    const roundsRejected = rounds.filter(({ outcome }) => outcome === 'rejected').length;
    return {
      versions: published.length,
      roundsRejected,
      editsAccepted,
      ...counts,
      editsOverwritten: this.#overwritten,
    };
  }

  #overwritten = 0;

  #expect(holds: boolean, what: string): void {
    if (!holds) this.broken.push(`${this.modelId}: ${what}`);
  }

  async #checkEnd(): Promise<void> {
    const { store, modelId } = this;
    // Who was killed before it gave the lease back leaves it to the next one, who finds that it runs no more.
    const isRunning = (executionId: string) => isExecutionRunning(store, executionId);
    const { acquired, owner } = await acquireLease(store, modelId, {
      owner: 'the check',
      now: () => new Date(),
      isRunning,
    });
    this.#expect(acquired, `a model that can be taken, got one held by ${owner}`);
    await releaseLease(store, modelId, { owner: 'the check' });
    this.#expect((await store.head(currentRoundKey(modelId))) === undefined, 'no round in work, got round.json');
    for (const prefix of [pendingPrefix(modelId), failedPrefix(modelId), `incoming/${modelId}/`]) {
      const keys = await store.list(prefix);
      this.#expect(keys.length === 0, `nothing below ${prefix}, got ${keys.join(', ')}`);
    }
  }

  #checkChain(published: readonly { readonly version: number; readonly parent: number | null }[]): void {
    for (const [i, { version, parent }] of published.entries()) {
      const before = published[i - 1]?.version ?? null;
      this.#expect(parent === before, `version ${version} on version ${before}, got on ${parent}`);
    }
  }

  #checkPublishers(
    published: readonly { readonly version: number; readonly publishedBy: string }[],
    rounds: readonly EndedRound[],
  ): void {
    const expected = rounds.filter(({ outcome }) => outcome === 'published');
    const told = expected.map(({ roundId, version }) => `round ${roundId} as ${version}`).sort();
    const found = published.map(({ publishedBy, version }) => `${publishedBy} as ${version}`).sort();
    this.#expect(told.join() === found.join(), `each published round once, got ${found} for ${told}`);
  }

  /** Reads every version with all its files, and replays which edits are in force. @returns own edits by version */
  async #checkVersions(versions: readonly number[]): Promise<ReadonlyMap<number, readonly string[]>> {
    const own = new Map<number, readonly string[]>();
    const inForce = new Map<string, ManifestEdit>();
    let before: ReadonlyMap<string, string> = new Map();
    for (const version of versions) {
      const { manifest, files } = await pull(this.store, this.modelId, version);
      const written = manifest.edits.filter((edit) => edit.version === version);
      const prefix = `models/${this.modelId}/`.length;
      const file = (name: 'edits.jsonl' | 'hooks.safetensors') =>
        files.get(versionFileKey(this.modelId, version, name).slice(prefix))!;
      const lines = new TextDecoder().decode(file('edits.jsonl')).trim().split('\n');
      own.set(
        version,
        lines.map((line) => factName(JSON.parse(line) as Fact)),
      );
      this.#expect(own.get(version)!.join() === written.map(factName).join(), `own edits of ${version} as in its file`);
      const { segment } = decodeHookFile(file('hooks.safetensors'), 'hooks');
      const memories = new Map(
        manifest.edits.filter(({ status }) => status === 'active').map((edit) => [placeOf(edit), memoryOf(edit)]),
      );
      this.#expectSame(segment.addedIds, changedIn(memories, before), `memories that ${version} writes`);
      this.#expectSame(segment.removedIds, changedIn(before, memories), `memories that ${version} takes back`);
      before = memories;
      this.#overwritten += written.filter((edit) => inForce.has(`${edit.subject} ${edit.prompt}`)).length;
      for (const edit of written) inForce.set(`${edit.subject} ${edit.prompt}`, edit);
      const active = manifest.edits.filter(({ status }) => status === 'active').map(factName);
      const expected = [...inForce.values()].map(factName);
      this.#expect(
        active.sort().join() === expected.sort().join(),
        `edits in force at ${version}: the last of each fact, got ${active.length} for ${expected.length}`,
      );
    }
    return own;
  }

  #expectSame(got: readonly string[], expected: readonly string[], what: string): void {
    const [one, other] = [got, expected].map((ids) => [...new Set(ids)].sort().join());
    this.#expect(one === other, `${what}: ${other}, got ${one}`);
  }

  async #rounds(): Promise<EndedRound[]> {
    const prefix = `models/${this.modelId}/rounds/`;
    const keys = (await this.store.list(prefix)).filter((key) => key.endsWith('/outcome.json'));
    const ended = keys.map(async (key) => {
      const roundId = key.slice(prefix.length).split('/')[0];
      const outcome = await this.#json<Outcome>(key);
      const units = await this.#json<string[]>(`${roundPrefix(this.modelId, roundId)}units.json`);
      return { ...outcome, roundId, units };
    });
    return Promise.all(ended);
  }

  async #checkRound(round: EndedRound, own: ReadonlyMap<number, readonly string[]>) {
    const { roundId, units, outcome, version, reason } = round;
    const edits = (await Promise.all(units.map((unit) => this.#unitFacts(unit)))).flat();
    if (outcome === 'rejected') {
      this.#expect(reason !== '', `round ${roundId} rejected with a reason, got none`);
      return { editsPublished: 0, editsFailed: 0, editsRejected: edits.length };
    }
    const written = own.get(version) ?? [];
    const rejected = edits.filter((edit) => !written.includes(edit));
    this.#expect(
      written.every((edit) => edits.includes(edit)) && written.length + rejected.length === edits.length,
      `version ${version} of edits of round ${roundId}, got ${written} of ${edits}`,
    );
    this.#expect(
      rejected.length === round.rejected,
      `${rejected.length} rejected of ${roundId}, got told ${round.rejected}`,
    );
    if (rejected.length > 0) {
      const reasons = await this.#exclusionReasons(roundId);
      this.#expect(reasons >= rejected.length, `a reason for each edit rejected of ${roundId}, got ${reasons}`);
    }
    return { editsPublished: written.length, editsFailed: rejected.length, editsRejected: 0 };
  }

  async #exclusionReasons(roundId: string): Promise<number> {
    const keys = await this.store.list(roundPrefix(this.modelId, roundId));
    const lists = keys
      .filter((key) => key.endsWith('/excluded.json'))
      .map((key) => this.#json<{ reason: string }[]>(key));
    return (await Promise.all(lists)).flat().filter(({ reason }) => reason !== '').length;
  }

  /** @returns edits that were accepted */
  async #checkBatches(rounds: readonly EndedRound[]): Promise<number> {
    const units = rounds.flatMap((round) => round.units);
    const all = new Set<string>();
    let accepted = 0;
    for (const { digest, facts, badLines } of this.batches) {
      const key = (name: string) => batchKey(this.modelId, digest, name);
      const batch = await this.#json<{ accepted: number; rejected: number; units: number }>(key('batch.json'));
      const got = `${batch.accepted} accepted and ${batch.rejected} rejected`;
      this.#expect(
        batch.accepted === facts.length && batch.rejected === badLines,
        `batch ${digest.slice(0, 12)}: ${facts.length} edits and ${badLines} bad lines, got ${got}`,
      );
      accepted += batch.accepted;
      const names = Array.from(
        { length: batch.units },
        (_, u) => `${digest.slice(0, 16)}-${`${u + 1}`.padStart(4, '0')}`,
      );
      for (const name of names) {
        all.add(name);
        const times = units.filter((unit) => unit === name).length;
        this.#expect(times === 1, `unit ${name} in one round that ended, got in ${times}`);
      }
      const filed = (await Promise.all(names.map((name) => this.#unitFacts(name)))).flat();
      this.#expect(filed.join() === facts.map(factName).join(), `units of ${digest.slice(0, 12)} with all its edits`);
    }
    for (const unit of units) this.#expect(all.has(unit), `unit ${unit} of a batch that was dropped`);
    return accepted;
  }

  async #unitFacts(name: string): Promise<string[]> {
    const [digest, unit] = name.split('-');
    const batch = this.batches.find((one) => one.digest.startsWith(digest));
    if (batch === undefined) return [];
    const { bytes } = await this.store.get(batchKey(this.modelId, batch.digest, `unit-${unit}.jsonl`));
    const lines = new TextDecoder().decode(bytes).trim().split('\n');
    return lines.map((line) => factName(JSON.parse(line) as Fact));
  }

  async #json<T>(key: string): Promise<T> {
    return JSON.parse(new TextDecoder().decode((await this.store.get(key)).bytes)) as T;
  }
}

/** The sums of numbers of the same names. */
export function added<T extends { readonly [K in keyof T]: number }>(first: T, second: T): T {
  const names = Object.keys(first) as (keyof T)[];
  return Object.fromEntries(names.map((name) => [name, first[name] + second[name]])) as T;
}

const placeOf = ({ version, id }: ManifestEdit): string => `${version} ${id}`;

/** The memories of edits that another version does not have, or has in another memory. */
const changedIn = (memories: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): string[] =>
  [...memories].flatMap(([place, memory]) => (other.get(place) === memory ? [] : [memory]));
