import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  InvalidInputError,
  MalformedFileError,
  PreconditionFailedError,
  StaleBaseError,
  TransientError,
} from '../../../src/errors.js';
import {
  type Base,
  type LatestVersion,
  latest,
  listVersions,
  type ObjectStore,
  type PublishRequest,
  publish,
  pull,
  rollback,
} from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import {
  Crash,
  crashingAfter,
  intercepted,
  losingReply,
  repeatingWrites,
  withFaultyWrites,
} from '../../support/faulty-object-store.js';
import { draftEdit, manifestDraft } from '../../support/manifest-draft.js';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const now = () => new Date('2026-01-02T03:04:05.000Z');

/** The round of `publishedBy` on top of `current`: one edit, all earlier ones kept. */
function roundOn(current: LatestVersion | undefined, publishedBy: string, id = publishedBy): PublishRequest {
  const base: Base | null = current === undefined ? null : { version: current.version, etag: current.etag };
  const edits = [...(current?.manifest.edits ?? []), draftEdit(id)];
  return {
    manifest: manifestDraft(edits, current?.manifest.segments),
    files: new Map([
      ['hooks.safetensors', bytesOf(`hooks of ${publishedBy}`)],
      ['report.html', bytesOf(`report of ${publishedBy}`)],
    ]),
    base,
    publishedBy,
    now,
  };
}

const publishNext = async (store: ObjectStore, publishedBy: string) =>
  publish(store, 'm', roundOn(await latest(store, 'm'), publishedBy));

const editIds = (version: LatestVersion | undefined) => version?.manifest.edits.map((edit) => edit.id) ?? [];

describe('publish', () => {
  let store: MemoryObjectStore;
  beforeEach(() => {
    store = new MemoryObjectStore();
  });

  it('refuses an edit under the id of another active one, but for pairs that the base has already', async () => {
    const first = await publishNext(store, 'run-1');
    const again = roundOn(first, 'run-1');
    await expect(publish(store, 'm', again)).rejects.toThrow(
      'edit run-1 of m: an id that no other active edit bears, got one in use',
    );
    expect((await latest(store, 'm'))!.version).toBe(1);
    const earlier = { status: 'overwritten' as const };
    const freed = first.manifest.edits.map((edit) => ({ ...edit, ...earlier }));
    const freely = { ...again, manifest: manifestDraft([...freed, draftEdit('run-1')], first.manifest.segments) };
    expect((await publish(store, 'm', freely)).version).toBe(2);
    const pair = [draftEdit('twice', { version: 1 }), draftEdit('twice', { version: 2 }), draftEdit('new')];
    const onPair = { ...roundOn(await latest(store, 'm'), 'run-3'), manifest: manifestDraft(pair) };
    expect((await publish(store, 'm', onPair)).version).toBe(3);
  });

  it('makes the first version, complete and by its documented keys', async () => {
    const published = await publishNext(store, 'run-1');
    expect(published).toEqual(await latest(store, 'm'));
    expect(await store.list('')).toEqual([
      'models/m/latest.json',
      'models/m/versions/000001/hooks.safetensors',
      'models/m/versions/000001/manifest.json',
      'models/m/versions/000001/report.html',
    ]);
    expect(published.pointer).toMatchObject({
      version: 1,
      publishedBy: 'run-1',
      previous: null,
      action: 'publish',
      sequence: 1,
    });
    expect(published.manifest).toMatchObject({
      version: 1,
      parent: null,
      base: null,
      createdAt: '2026-01-02T03:04:05.000Z',
    });
    expect(published.manifest.edits).toEqual([{ ...draftEdit('run-1'), version: 1 }]);
  });

  it('stands each version on the one before, and ships only its own files', async () => {
    for (const name of ['run-1', 'run-2', 'run-3']) await publishNext(store, name);
    const { manifest, files } = await pull(store, 'm');
    expect(manifest).toMatchObject({ version: 3, parent: 2 });
    expect(manifest.segments.map((segment) => segment.key)).toEqual(
      [1, 2, 3].map((version) => `versions/00000${version}/hooks.safetensors`),
    );
    expect([...files.keys()].sort()).toEqual([
      ...manifest.segments.map(({ key }) => key),
      'versions/000003/report.html',
    ]);
    expect(files.get('versions/000002/hooks.safetensors')).toEqual(bytesOf('hooks of run-2'));
    expect(manifest.edits.map((edit) => edit.version)).toEqual([1, 2, 3]);
  });

  it('refuses a base that is not the latest, says which is, and writes nothing', async () => {
    const first = await publishNext(store, 'run-1');
    const stale = roundOn(first, 'run-2');
    await publishNext(store, 'run-3');
    const keys = await store.list('');
    const error = await publish(store, 'm', stale).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StaleBaseError);
    expect(error).toMatchObject({ modelId: 'm', baseVersion: 1, latestVersion: 2 });
    expect(await store.list('')).toEqual(keys);
    await expect(publish(store, 'm', roundOn(undefined, 'run-4'))).rejects.toThrow(StaleBaseError);
    const other = new MemoryObjectStore();
    await expect(publish(other, 'm', stale)).rejects.toThrow(StaleBaseError);
  });

  it('refuses a draft that contradicts itself before it writes anything', async () => {
    const round = roundOn(undefined, 'run-1');
    const segment = { version: 1, key: 'versions/000001/report.html', sizeBytes: 1, sha256: 'a'.repeat(64) };
    const manifest = { ...round.manifest, segments: [segment] };
    await expect(publish(store, 'm', { ...round, manifest })).rejects.toThrow(MalformedFileError);
    await expect(publish(store, '../m', round)).rejects.toThrow(InvalidInputError);
    expect(await store.list('')).toEqual([]);
  });

  it('refuses a base whose version does not belong to its ETag', async () => {
    const first = await publishNext(store, 'run-1');
    const round = roundOn(first, 'run-2');
    await expect(publish(store, 'm', { ...round, base: { version: 7, etag: first.etag } })).rejects.toThrow(
      InvalidInputError,
    );
  });

  it('takes the next number where another publisher took its own meanwhile', async () => {
    const other = withFaultyWrites(store, async (write, key) => {
      if (key.endsWith('000001/report.html')) await store.put(key, bytesOf('of another publisher'));
      return write();
    });
    expect((await publishNext(other, 'run-1')).version).toBe(2);
    expect(await listVersions(store, 'm')).toMatchObject({ latest: 2, unpublished: [1] });
  });

  it('takes the next number where another publisher took the manifest, of the same base', async () => {
    const [first, second] = [roundOn(undefined, 'run-1'), roundOn(undefined, 'run-2')];
    const outcomes = await Promise.allSettled([publish(store, 'm', first), publish(store, 'm', second)]);
    expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find((outcome) => outcome.status === 'rejected')?.reason).toBeInstanceOf(StaleBaseError);
  });

  it('stays exactly once when a round on a rolled-back version follows', async () => {
    await publishNext(store, 'run-1');
    await publishNext(store, 'run-2');
    await rollback(store, 'm', 1, 'a person');
    const round = roundOn(await latest(store, 'm'), 'run-3');
    const third = await publish(store, 'm', round);
    expect(third).toMatchObject({ version: 3, manifest: { parent: 1 } });
    expect(editIds(third)).toEqual(['run-1', 'run-3']);
    expect((await publish(store, 'm', round)).version).toBe(3);
  });

  it('is not taken for another round of the same run on another base', async () => {
    const first = await publishNext(store, 'run');
    await publish(store, 'm', roundOn(first, 'run', 'second'));
    await rollback(store, 'm', 1, 'a person');
    const round = roundOn(await latest(store, 'm'), 'run', 'second');
    await publishNext(store, 'another run');
    await expect(publish(store, 'm', round)).rejects.toThrow(StaleBaseError);
  });
});

describe('a publish that ends after any number of writes', () => {
  const writesOfOnePublish = 5;

  it.each(
    Array.from({ length: writesOfOnePublish + 1 }, (_, writes) => writes),
  )('leaves the old version whole or the new one, and can be repeated (%i writes)', async (writes) => {
    const store = new MemoryObjectStore();
    const first = await publishNext(store, 'run-1');
    const round = roundOn(first, 'run-2');
    const attempt = publish(crashingAfter(store, writes), 'm', round);
    if (writes < writesOfOnePublish) await expect(attempt).rejects.toThrow(Crash);
    else await attempt;
    const { manifest } = await pull(store, 'm');
    expect(manifest.version).toBe(writes < writesOfOnePublish ? 1 : 2);
    const second = await publish(store, 'm', round);
    expect(editIds(second)).toEqual(['run-1', 'run-2']);
    await pull(store, 'm');
    const listing = await listVersions(store, 'm');
    expect(listing.published.map(({ publishedBy }) => publishedBy)).toEqual(['run-1', 'run-2']);
    expect(listing.latest).toBe(second.version);
  });
});

describe('a publish that loses the reply of a write', () => {
  it.each([0, 1, 2, 3, 4])('succeeds on repetition as the same version (write %i)', async (writeIndex) => {
    const store = new MemoryObjectStore();
    const round = roundOn(await publishNext(store, 'run-1'), 'run-2');
    await expect(publish(losingReply(store, writeIndex), 'm', round)).rejects.toThrow(TransientError);
    const second = await publish(store, 'm', round);
    const third = await publish(store, 'm', round);
    expect(third.version).toBe(second.version);
    const { published } = await listVersions(store, 'm');
    expect(published.map(({ publishedBy }) => publishedBy)).toEqual(['run-1', 'run-2']);
  });

  it('is known as published even when others have published on it or rolled it back', async () => {
    const store = new MemoryObjectStore();
    const round = roundOn(await publishNext(store, 'run-1'), 'run-2');
    await expect(publish(losingReply(store, 4), 'm', round)).rejects.toThrow(TransientError);
    await publishNext(store, 'run-3');
    expect((await publish(store, 'm', round)).version).toBe(2);
    await rollback(store, 'm', 1, 'a person');
    expect((await publish(store, 'm', round)).version).toBe(2);
    expect((await latest(store, 'm'))?.version).toBe(1);
  });

  it.each([
    'latest.json',
    'manifest.json',
    'hooks.safetensors',
  ])('succeeds when the client repeats the write of %s', async (end) => {
    const store = new MemoryObjectStore();
    await publishNext(store, 'run-1');
    const faulty = end === 'latest.json' ? repeatingWrites(store, end) : repeatingOnce(store, end);
    const second = await publishNext(faulty, 'run-2');
    expect(second).toEqual(await latest(store, 'm'));
    expect((await listVersions(store, 'm')).published).toHaveLength(2);
  });
});

function repeatingOnce(store: ObjectStore, end: string): ObjectStore {
  let done = false;
  return withFaultyWrites(store, async (write, key) => {
    if (key.endsWith(end) && !done) {
      done = true;
      await write();
    }
    return write();
  });
}

/** Runs `rounds` rounds as a workflow does: a stale base computes the round again, a lost reply repeats the publish. */
async function publisher(store: ObjectStore, name: string, rounds: number): Promise<void> {
  for (let round = 1; round <= rounds; ) {
    const request = roundOn(await latest(store, 'm'), `${name}-${round}`);
    try {
      await repeatedly(() => publish(store, 'm', request));
      round++;
    } catch (error) {
      if (!(error instanceof StaleBaseError)) throw error;
    }
  }
}

async function repeatedly<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TransientError) || error instanceof StaleBaseError) throw error;
    }
  }
}

/** Every operation waits for the scheduler; every write may lose its reply. */
function scheduled(store: ObjectStore, scheduler: fc.Scheduler, lost: () => boolean): ObjectStore {
  const turn = () => scheduler.schedule(Promise.resolve());
  return intercepted(store, async (carryOut, operation) => {
    await turn();
    const reply = await carryOut();
    if (operation === 'put' && lost()) throw new TransientError('store: a reply, got none');
    return reply;
  });
}

describe('two publishers in any interleaving', () => {
  it('lose no round and publish none twice, though replies get lost', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.infiniteStream(fc.integer({ min: 0, max: 9 })), async (scheduler, dice) => {
        const memory = new MemoryObjectStore();
        const store = scheduled(memory, scheduler, () => dice.next().value === 0);
        await scheduler.waitFor(Promise.all([publisher(store, 'x', 2), publisher(store, 'y', 2)]));
        const { published, latest: current } = await listVersions(memory, 'm');
        const names = published.map(({ publishedBy }) => publishedBy);
        expect([...names].sort()).toEqual(['x-1', 'x-2', 'y-1', 'y-2']);
        expect(published.map(({ parent }) => parent)).toEqual([
          null,
          ...published.slice(0, -1).map(({ version }) => version),
        ]);
        expect(current).toBe(published.at(-1)?.version);
        expect((await pull(memory, 'm')).manifest.edits.map((edit) => edit.id)).toEqual(names);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the faulty stores of these tests', () => {
  it('repeat a write so that its condition no longer holds', async () => {
    const store = repeatingWrites(new MemoryObjectStore(), 'a');
    await expect(store.put('a', bytesOf('x'), { ifNoneMatch: '*' })).rejects.toThrow(PreconditionFailedError);
  });
});
