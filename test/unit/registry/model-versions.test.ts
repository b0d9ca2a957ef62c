import { chmod, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  DirectoryContentCache,
  MemoryContentCache,
  ModelVersions,
  type PulledVersion,
  watchVersions,
} from '../../../src/client.js';
import { DigestMismatchError, InvalidInputError, NoSuchKeyError, TransientError } from '../../../src/errors.js';
import { digestOf, latest, type ObjectStore, publish, rollback } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { intercepted } from '../../support/faulty-object-store.js';
import { draftEdit, manifestDraft } from '../../support/manifest-draft.js';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const folder = await mkdtemp(join(tmpdir(), 'hookline-client-'));
afterAll(() => rm(folder, { recursive: true }));

async function publishRound(store: ObjectStore, id: string): Promise<void> {
  const current = await latest(store, 'm');
  const edits = [...(current?.manifest.edits ?? []), draftEdit(id)];
  const manifest = manifestDraft(edits, current?.manifest.segments);
  const base = current ? { version: current.version, etag: current.etag } : null;
  const files = new Map([['hooks.safetensors', bytesOf(`hooks of ${id}`)] as const]);
  await publish(store, 'm', { manifest, files, base, publishedBy: id });
}

/** A store that counts what is asked of it. */
function counted(inner: ObjectStore) {
  const calls: string[] = [];
  const store = intercepted(inner, async (carryOut, operation, key) => {
    const answer = await carryOut();
    const isSame = operation === 'getIfChanged' && answer === undefined;
    calls.push(`${isSame ? 'same' : operation} ${key}`);
    return answer;
  });
  const since = () => calls.splice(0);
  return { store, since };
}

let store: MemoryObjectStore;
beforeEach(async () => {
  store = new MemoryObjectStore();
  await publishRound(store, 'one');
  await publishRound(store, 'two');
});

describe("a model's versions", () => {
  it('are pulled whole, and again with one conditional request that finds nothing new', async () => {
    const { store: watched, since } = counted(store);
    const versions = new ModelVersions({ store: watched, modelId: 'm' });
    const first = await versions.pull();
    expect(first.manifest.version).toBe(2);
    expect([...first.files.values()].map((bytes) => digestOf(bytes)).sort()).toEqual(
      [...first.manifest.segments.map(({ sha256 }) => sha256)].sort(),
    );
    since();
    expect(await versions.pull()).toBe(first);
    expect(since()).toEqual(['same models/m/latest.json']);
  });

  it('fetch of a new version only what was not there before', async () => {
    const { store: watched, since } = counted(store);
    const versions = new ModelVersions({ store: watched, modelId: 'm' });
    await versions.pull();
    await publishRound(store, 'three');
    since();
    expect((await versions.pull()).manifest.version).toBe(3);
    expect(since()).toEqual([
      'getIfChanged models/m/latest.json',
      'get models/m/versions/000003/manifest.json',
      'get models/m/versions/000003/hooks.safetensors',
    ]);
  });

  it('name any published version, and follow a rollback', async () => {
    const versions = new ModelVersions({ store, modelId: 'm' });
    expect((await versions.latest())?.version).toBe(2);
    expect((await versions.version(1)).version).toBe(1);
    expect((await versions.pull(1)).files.size).toBe(1);
    await rollback(store, 'm', 1, 'test');
    expect((await versions.pull()).manifest.version).toBe(1);
    await expect(versions.pull(9)).rejects.toThrow(InvalidInputError);
  });

  it('are looked up with a conditional request by a process that knows what an earlier one saw', async () => {
    const known = await new ModelVersions({ store, modelId: 'm' }).latest();
    const { store: watched, since } = counted(store);
    const versions = new ModelVersions({ store: watched, modelId: 'm', known: known! });
    expect(await versions.latest()).toBe(known);
    expect(since()).toEqual(['same models/m/latest.json']);
    const other = new ModelVersions({ store: watched, modelId: 'm', known: known!, modelDigest: 'f'.repeat(64) });
    await expect(other.latest()).rejects.toThrow(DigestMismatchError);
  });

  it('need no request for the manifest of one that was seen before', async () => {
    const { store: watched, since } = counted(store);
    const versions = new ModelVersions({ store: watched, modelId: 'm' });
    await versions.pull();
    await rollback(store, 'm', 1, 'test');
    await versions.pull();
    await rollback(store, 'm', 2, 'test');
    since();
    expect((await versions.pull()).manifest.version).toBe(2);
    expect(since()).toEqual(['getIfChanged models/m/latest.json']);
  });

  it('are none before the first', async () => {
    const versions = new ModelVersions({ store, modelId: 'other' });
    expect(await versions.latest()).toBeUndefined();
    expect(await versions.pullLatest()).toBeUndefined();
    await expect(versions.pull()).rejects.toThrow('model other: a published version, got none');
  });

  it('are refused when they are for another base model', async () => {
    const modelDigest = 'f'.repeat(64);
    const versions = new ModelVersions({ store, modelId: 'm', modelDigest });
    const actual = (await latest(store, 'm'))!.manifest.modelDigest;
    await expect(versions.pull()).rejects.toThrow(DigestMismatchError);
    await expect(versions.pull()).rejects.toThrow(new RegExp(`base model.*${modelDigest}.*${actual}`));
    await expect(versions.version(1)).rejects.toThrow(DigestMismatchError);
  });

  it('are refused when a file was tampered with, and what was pulled before stays good', async () => {
    const versions = new ModelVersions({ store, modelId: 'm' });
    const before = await versions.pull();
    await publishRound(store, 'three');
    const key = 'models/m/versions/000003/hooks.safetensors';
    const { bytes } = await store.get(key);
    await store.put(key, bytesOf('torn'));
    await expect(versions.pull()).rejects.toThrow(new RegExp(`${key}.*${digestOf(bytes)}.*${digestOf('torn')}`));
    expect(before.manifest.version).toBe(2);
    await store.put(key, bytes);
    expect((await versions.pull()).manifest.version).toBe(3);
    await store.delete('models/m/versions/000001/hooks.safetensors');
    const other = new ModelVersions({ store, modelId: 'm' });
    await expect(other.pull()).rejects.toThrow(NoSuchKeyError);
  });
});

describe.each([
  ['a folder', () => new DirectoryContentCache(join(folder, crypto.randomUUID()))],
  ['memory', () => new MemoryContentCache()],
])('a cache in %s', (_, open) => {
  it('spares what another reader fetched', async () => {
    const cache = open();
    await new ModelVersions({ store, modelId: 'm', cache }).pull();
    const { store: watched, since } = counted(store);
    const again = await new ModelVersions({ store: watched, modelId: 'm', cache }).pull();
    expect(again.files.size).toBe(2);
    expect(since().filter((call) => call.includes('hooks'))).toEqual([]);
  });
});

describe('a cache in a folder', () => {
  it('does not hand out a file that is cut off or changed: it is fetched again', async () => {
    const place = join(folder, 'damaged');
    const cache = new DirectoryContentCache(place);
    await new ModelVersions({ store, modelId: 'm', cache }).pull();
    const files = (await readdir(join(place, 'sha256'), { recursive: true, withFileTypes: true })).filter((entry) =>
      entry.isFile(),
    );
    // Two segments and the manifest, read-only.
    const paths = files.map((entry) => join(entry.parentPath, entry.name));
    expect(paths).toHaveLength(3);
    for (const [index, path] of paths.entries()) {
      expect((await stat(path)).mode & 0o777).toBe(0o444);
      await chmod(path, 0o644);
      await (index === 0 ? truncate(path, 3) : writeFile(path, 'something else'));
    }
    const pulled = await new ModelVersions({ store, modelId: 'm', cache }).pull();
    for (const { key, sha256 } of pulled.manifest.segments) expect(digestOf(pulled.files.get(key)!)).toBe(sha256);
    expect(await cache.find(pulled.manifest.segments[0].sha256)).toBeDefined();
  });
});

describe('a watch', () => {
  /** Versions seen and errors, until so many of both together. */
  async function watched(on: ObjectStore, count: number, then: (seen: number) => Promise<void>) {
    const stop = new AbortController();
    const seen: (number | string)[] = [];
    const note = async (what: number | string) => {
      seen.push(what);
      if (seen.length === count) stop.abort();
      else await then(seen.length);
    };
    await watchVersions(new ModelVersions({ store: on, modelId: 'm' }), {
      onVersion: ({ manifest }: PulledVersion) => note(manifest.version),
      onError: (error) => void note((error as Error).message),
      intervalSeconds: 0.002,
      signal: stop.signal,
    });
    return seen;
  }

  it('tells of the version that is there and of each that follows', async () => {
    const next = ['three', 'four'];
    const seen = await watched(store, 3, async (count) => publishRound(store, next[count - 1]));
    expect(seen).toEqual([2, 3, 4]);
  });

  it('says what a refused version lacks, keeps looking, and takes it once it is whole', async () => {
    const key = 'models/m/versions/000003/hooks.safetensors';
    let whole: Uint8Array;
    const seen = await watched(store, 3, async (count) => {
      if (count === 1) {
        await publishRound(store, 'three');
        whole = (await store.get(key)).bytes;
        await store.put(key, bytesOf('torn'));
      } else await store.put(key, whole);
    });
    expect(seen[0]).toBe(2);
    expect(seen[1]).toContain(key);
    expect(seen.at(-1)).toBe(3);
  });

  it('waits longer after each failure, never regularly, and not at all once it is stopped', async () => {
    const stop = new AbortController();
    const pauses: number[] = [];
    const broken: ObjectStore = {
      ...counted(store).store,
      get: () => Promise.reject(new TransientError('store: an answer')),
    };
    let draw = 0;
    await watchVersions(new ModelVersions({ store: broken, modelId: 'm' }), {
      onVersion: () => undefined,
      onError: (_, seconds) => {
        pauses.push(seconds);
        if (pauses.length === 6) stop.abort();
      },
      intervalSeconds: 0.001,
      signal: stop.signal,
      random: () => (draw++ % 2 === 0 ? 0 : 0.9),
    });
    const expected = [2, 4, 8, 16, 16, 16].map((factor, i) => 0.001 * factor * (i % 2 === 0 ? 0.5 : 1.4));
    expect(pauses).toEqual(expected);
  });
});

describe('a cache in memory', () => {
  it('forgets what was not asked for the longest once it is full', async () => {
    const cache = new MemoryContentCache(10);
    const content = (name: string) => new Uint8Array(4).fill(name.charCodeAt(0));
    for (const name of ['a', 'b']) await cache.keep(name, content(name));
    await cache.find('a');
    await cache.keep('c', content('c'));
    await cache.keep('c', content('c'));
    expect(await cache.find('b')).toBeUndefined();
    expect([await cache.find('a'), await cache.find('c')]).toEqual([content('a'), content('c')]);
    await cache.keep('huge', new Uint8Array(11));
    expect([await cache.find('a'), await cache.find('huge')]).toEqual([undefined, undefined]);
  });
});
