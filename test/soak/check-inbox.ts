/** @file What must hold of lines that were written into an inbox. */
import { type ObjectStore, pointerHistory, pull } from '../../src/registry/index.js';
import { readInbox } from '../../src/workflow/index.js';
import type { WrittenLine } from './inbox.js';

interface InboxCheck {
  readonly counts: Readonly<Record<string, number>>;
  readonly broken: readonly string[];
}

interface Unit {
  readonly ids: readonly string[];
  readonly outcome: { readonly outcome: string; readonly version: number; readonly roundId: string } | undefined;
}

/**
 * Every line that was written whole is in a batch. Every edit was published or rejected with a reason. The edits of a row were
 * published in its order. Nothing is left, and every version can be pulled.
 *
 * @param ordered ids of edits of one fact, in the order in which they were dropped
 */
export async function checkInbox(
  store: ObjectStore,
  modelId: string,
  written: readonly WrittenLine[],
  ordered: readonly string[],
): Promise<InboxCheck> {
  const check = new Checker(store, modelId);
  await check.lines(written);
  await check.edits(written);
  await check.order(ordered);
  await check.end();
  return check;
}

class Checker implements InboxCheck {
  readonly counts: Record<string, number> = {};
  readonly broken: string[] = [];
  readonly #store: ObjectStore;
  readonly #modelId: string;

  constructor(store: ObjectStore, modelId: string) {
    this.#store = store;
    this.#modelId = modelId;
  }

  async lines(written: readonly WrittenLine[]): Promise<void> {
    const sources = await this.#objects('batches/', '/source');
    const lines = new Set(sources.flatMap((source) => source.split('\n')));
    for (const { text } of written) if (!lines.has(text)) this.broken.push(`line in a batch, got none: ${text}`);
    this.counts.batches = sources.length;
  }

  async edits(written: readonly WrittenLine[]): Promise<void> {
    const units = await this.#units();
    const rejections = (await this.#objects('batches/', '/rejections.json')).join('\n');
    const excluded = (await this.#objects('rounds/', '/excluded.json')).join('\n');
    const found = new Map<string, Unit[]>();
    for (const unit of units) for (const id of unit.ids) found.set(id, [...(found.get(id) ?? []), unit]);
    const published = await this.#published();
    const counts = { published: 0, rejected: 0 };
    for (const { id } of written) {
      if (id === undefined) continue;
      const own = found.get(id) ?? [];
      if (own.some(({ outcome }) => outcome === undefined)) this.broken.push(`${id}: an outcome, got none`);
      if (published.has(id)) counts.published++;
      else if (rejections.includes(id) || excluded.includes(id) || isRejected(own)) counts.rejected++;
      else this.broken.push(`${id}: published or rejected with a reason, got neither`);
    }
    Object.assign(this.counts, counts);
  }

  /** Every version that brought an edit of the row brought a later one than the versions before it. */
  async order(ordered: readonly string[]): Promise<void> {
    const sequence: string[] = [];
    for (const version of await this.#versions()) {
      const { manifest } = await pull(this.#store, this.#modelId, version);
      const own = manifest.edits.filter((edit) => edit.version === version && ordered.includes(edit.id));
      if (own.length > 1) this.broken.push(`version ${version}: one edit of the row, got ${own.length}`);
      sequence.push(...own.map(({ id }) => id));
    }
    if (sequence.join() !== [...sequence].sort().join())
      this.broken.push(`the row: published in the order of its arrival, got ${sequence.join(' ')}`);
    if (sequence.at(-1) !== ordered.at(-1))
      this.broken.push(`the row: ${ordered.at(-1)} published last, got ${sequence.at(-1)}`);
    this.counts['of a row'] = sequence.length;
  }

  async end(): Promise<void> {
    const prefix = `models/${this.#modelId}/`;
    for (const folder of ['pending/', 'failed/'])
      for (const key of await this.#store.list(prefix + folder)) this.broken.push(`${key}: no unit left, got one`);
    for (const { key, state, reason } of await readInbox(this.#store, this.#modelId))
      if (state !== 'passed over') this.broken.push(`${key}: taken in the end, got ${state}: ${reason}`);
    const versions = await this.#versions();
    for (const version of versions) await pull(this.#store, this.#modelId, version);
    this.counts.versions = versions.length;
  }

  async #units(): Promise<Unit[]> {
    const keys = await this.#store.list(`models/${this.#modelId}/batches/`);
    const units: Unit[] = [];
    for (const key of keys.filter((name) => /\/unit-\d+\.jsonl$/.test(name))) {
      const lines = (await this.#text(key)).trim().split('\n');
      const outcomeKey = key.replace(/\.jsonl$/, '.outcome.json');
      const outcome = keys.includes(outcomeKey) ? JSON.parse(await this.#text(outcomeKey)) : undefined;
      units.push({ ids: lines.map((line) => JSON.parse(line).id), outcome });
    }
    return units;
  }

  /** Ids of all edits that were in a version when it was published. */
  async #published(): Promise<ReadonlySet<string>> {
    const ids = new Set<string>();
    for (const version of await this.#versions()) {
      const { manifest } = await pull(this.#store, this.#modelId, version);
      for (const edit of manifest.edits) ids.add(edit.id);
    }
    return ids;
  }

  async #versions(): Promise<number[]> {
    const versions: number[] = [];
    for await (const { pointer } of pointerHistory(this.#store, this.#modelId)) versions.unshift(pointer.version);
    return versions;
  }

  async #objects(folder: string, end: string): Promise<string[]> {
    const keys = await this.#store.list(`models/${this.#modelId}/${folder}`);
    return Promise.all(keys.filter((key) => key.endsWith(end)).map((key) => this.#text(key)));
  }

  async #text(key: string): Promise<string> {
    return new TextDecoder().decode((await this.#store.get(key)).bytes);
  }
}

const isRejected = (units: readonly Unit[]): boolean => units.some(({ outcome }) => outcome?.outcome === 'rejected');
