import { existsSync, readdirSync, readFileSync, realpathSync, statSync, symlinkSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { VersionFolder, type VersionFolderOptions, watchVersions } from '../../../src/client.js';
import { DigestMismatchError, InvalidInputError, NoSuchKeyError } from '../../../src/errors.js';
import { DirectoryObjectStore } from '../../../src/registry/directory-object-store.js';
import {
  digestOf,
  folderModelId,
  latest,
  type Manifest,
  type ObjectStore,
  publish,
  rollback,
} from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { placeFile } from '../../../src/registry/version-folder-files.js';
import { intercepted } from '../../support/faulty-object-store.js';
import { draftEdit, manifestDraft } from '../../support/manifest-draft.js';
import { ScriptFolder } from '../../support/node-child.js';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const root = await mkdtemp(join(tmpdir(), 'hookline-version-folder-'));
const scripts = new ScriptFolder(['registry']);
symlinkSync(resolve('node_modules'), join(scripts.path, 'node_modules'));
afterAll(async () => {
  scripts.remove();
  await rm(root, { recursive: true });
});

/** Publishes a version with a segment and a report of its own. */
async function publishRound(store: ObjectStore, id: string, modelId = 'm'): Promise<void> {
  const current = await latest(store, modelId);
  const edits = [...(current?.manifest.edits ?? []), draftEdit(id)];
  await publish(store, modelId, {
    manifest: manifestDraft(edits, current?.manifest.segments),
    files: new Map([
      ['hooks.safetensors', bytesOf(`hooks of ${id}`.repeat(1000))],
      ['report.html', bytesOf(`report of ${id}`)],
    ]),
    base: current ? { version: current.version, etag: current.etag } : null,
    publishedBy: id,
  });
}

/** A store that takes down what is asked of it. */
function counted(inner: ObjectStore) {
  const calls: string[] = [];
  const store = intercepted(inner, async (carryOut, operation, key) => {
    const answer = await carryOut();
    calls.push(`${operation === 'getIfChanged' && answer === undefined ? 'same' : operation} ${key}`);
    return answer;
  });
  return { store, since: () => calls.splice(0) };
}

/** Reads a version as a consumer does: the link is resolved once. @returns its number, after every file was checked */
function readCurrent(path: string): number {
  const folder = realpathSync(join(path, 'current'));
  const bytes = readFileSync(join(folder, 'manifest.json'));
  expect(folder.endsWith(digestOf(bytes).slice(0, 12))).toBe(true);
  const manifest = JSON.parse(bytes.toString()) as Manifest;
  for (const { key, sha256 } of [...manifest.segments, ...manifest.files]) {
    expect(digestOf(readFileSync(join(folder, key))), key).toBe(sha256);
  }
  return manifest.version;
}

const pulledNames = (path: string) => readdirSync(join(path, 'pulled')).sort();
const filesBelow = (path: string) =>
  readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());

let store: MemoryObjectStore;
let path: string;
const open = (more: Partial<VersionFolderOptions> = {}) => VersionFolder.open({ store, modelId: 'm', path, ...more });
beforeEach(async () => {
  store = new MemoryObjectStore();
  path = join(root, crypto.randomUUID());
  await publishRound(store, 'one');
  await publishRound(store, 'two');
});

describe('a version folder', () => {
  it('holds the latest version whole, read-only and linked to the cache', async () => {
    const pulled = await (await open()).pull();
    expect(pulled).toMatchObject({ version: 2, isNew: true, previous: undefined, reusedBytes: 0 });
    expect(await readlink(join(path, 'current'))).toBe(`pulled/${pulledNames(path)[0]}`);
    expect(pulled.path).toBe(realpathSync(join(path, 'current')));
    expect(readCurrent(path)).toBe(2);
    const files = filesBelow(pulled.path);
    expect(files.map(({ name }) => name).sort()).toEqual([
      'hooks.safetensors',
      'hooks.safetensors',
      'manifest.json',
      'report.html',
    ]);
    const cached = filesBelow(join(path, '.hookline/cache/sha256')).map((file) => join(file.parentPath, file.name));
    const inodes = new Set(cached.map((file) => statSync(file).ino));
    let sizeBytes = 0;
    for (const file of files) {
      const { mode, ino, size } = statSync(join(file.parentPath, file.name));
      expect(mode & 0o777).toBe(0o444);
      expect(inodes.has(ino)).toBe(true);
      sizeBytes += size;
    }
    expect(pulled.fetchedBytes).toBe(sizeBytes);
    expect(await folderModelId(path)).toBe('m');
  });

  it('makes one conditional request, and no other, in a second process that finds nothing new', async () => {
    const first = await (await open()).pull();
    const { store: watched, since } = counted(store);
    const folder = await open({ store: watched });
    const again = await folder.pull();
    expect(again).toMatchObject({ version: 2, path: first.path, isNew: false, fetchedBytes: 0 });
    expect(again.reusedBytes).toBe(first.fetchedBytes);
    expect(since()).toEqual(['same models/m/latest.json']);
    expect(await folder.pullLatest()).toBe(again);
    expect(since()).toEqual(['same models/m/latest.json']);
  });

  it('fetches of the next version only what is new, and keeps a rollback at hand', async () => {
    const { store: watched, since } = counted(store);
    await (await open({ store: watched })).pull();
    await publishRound(store, 'three');
    since();
    const third = await (await open({ store: watched })).pull();
    expect(third).toMatchObject({ version: 3, previous: 2, isNew: true });
    expect(third.reusedBytes).toBe(third.manifest.segments[0].sizeBytes + third.manifest.segments[1].sizeBytes);
    expect(since().sort()).toEqual([
      'get models/m/versions/000003/hooks.safetensors',
      'get models/m/versions/000003/manifest.json',
      'get models/m/versions/000003/report.html',
      'getIfChanged models/m/latest.json',
    ]);
    await rollback(store, 'm', 2, 'test');
    expect(await (await open({ store: watched })).pull()).toMatchObject({ version: 2, previous: 3, isNew: true });
    expect(since()).toEqual(['getIfChanged models/m/latest.json', 'get models/m/versions/000002/manifest.json']);
    expect(readCurrent(path)).toBe(2);
  });

  it('goes to a given version, and back to the latest', async () => {
    const folder = await open();
    expect((await folder.pull(1)).version).toBe(1);
    expect(readCurrent(path)).toBe(1);
    expect(await (await open()).pull()).toMatchObject({ version: 2, previous: 1, isNew: true });
    expect(await folder.pull(1)).toMatchObject({ version: 1, previous: 2 });
    expect((await (await open()).pull()).version).toBe(2);
    await expect(folder.pull(9)).rejects.toThrow(InvalidInputError);
    expect(readCurrent(path)).toBe(2);
  });

  it('keeps the versions that were current last, and of its cache what the current one holds', async () => {
    const folder = await open({ keep: 2 });
    for (const id of ['three', 'four', 'five']) {
      await folder.pull();
      await publishRound(store, id);
    }
    await folder.pull();
    await rollback(store, 'm', 3, 'test');
    await folder.pull();
    expect(pulledNames(path).map((name) => Number(name.slice(0, 6)))).toEqual([3, 5]);
    expect(readCurrent(path)).toBe(3);
    // Three segments, a report and the manifest.
    expect(filesBelow(join(path, '.hookline/cache/sha256'))).toHaveLength(5);
  });

  it('shares a cache with other folders, and leaves it alone', async () => {
    const cacheFolder = join(root, crypto.randomUUID());
    await (await open({ cacheFolder, keep: 2 })).pull();
    const { store: watched, since } = counted(store);
    const other = await open({ cacheFolder, store: watched, path: join(root, crypto.randomUUID()) });
    expect(await other.pull()).toMatchObject({ version: 2, fetchedBytes: 0 });
    expect(since()).toEqual(['get models/m/latest.json']);
    await rollback(store, 'm', 1, 'test');
    await other.pull();
    expect(filesBelow(join(cacheFolder, 'sha256'))).toHaveLength(6);
    expect(existsSync(join(other.path, '.hookline/cache'))).toBe(false);
  });

  it('takes pulls in turns, however many there are', async () => {
    const folders = await Promise.all([open(), open(), open({ keep: 2 })]);
    const taken = await Promise.all(folders.flatMap((folder) => [folder.pull(), folder.pull(1), folder.pull()]));
    expect(taken.map(({ version }) => version)).toEqual([2, 1, 2, 2, 1, 2, 2, 1, 2]);
    // Whose turn is the last is not said.
    expect([1, 2]).toContain(readCurrent(path));
    expect(readdirSync(join(path, '.hookline/locks'))).toEqual([]);
    expect(readdirSync(join(path, '.hookline/drafts'))).toEqual([]);
  });

  it('copies what cannot be linked', async () => {
    const target = join(path, 'pulled/x/file');
    await placeFile(path, target, { bytes: bytesOf('content'), cachePath: join(path, 'nothing here') });
    expect(readFileSync(target, 'utf8')).toBe('content');
    expect(statSync(target).mode & 0o777).toBe(0o444);
  });
});

describe('what a version folder refuses', () => {
  it.each([
    'manifest.json',
    'report.html',
    'hooks.safetensors',
  ])('is a version whose %s was tampered with, by its name and both digests; the one before stays current', async (name) => {
    const folder = await open();
    await folder.pull();
    await publishRound(store, 'three');
    const key = `models/m/versions/000003/${name}`;
    const { bytes } = await store.get(key);
    await store.put(key, bytesOf('torn'));
    const message = `${key}: SHA-256 ${digestOf(bytes)}, got ${digestOf('torn')}`;
    for (const puller of [folder, await open()]) await expect(puller.pull()).rejects.toThrow(message);
    expect(readCurrent(path)).toBe(2);
    await store.delete(key);
    await expect(folder.pull()).rejects.toThrow(NoSuchKeyError);
    expect(readCurrent(path)).toBe(2);
    await store.put(key, bytes);
    expect((await folder.pull()).version).toBe(3);
    expect(readCurrent(path)).toBe(3);
  });

  it('is a version for another base model, also where it is here already', async () => {
    const modelDigest = 'f'.repeat(64);
    const message = new RegExp(`base model of m version 2: SHA-256 ${modelDigest}, got a{64}`);
    await expect((await open({ modelDigest })).pull()).rejects.toThrow(message);
    expect(existsSync(join(path, 'current'))).toBe(false);
    await (await open({ modelDigest: 'a'.repeat(64) })).pull();
    await expect((await open({ modelDigest })).pull()).rejects.toThrow(DigestMismatchError);
    await expect((await open({ modelDigest })).pull(1)).rejects.toThrow(DigestMismatchError);
    expect(readCurrent(path)).toBe(2);
  });

  it("is another model's versions, a folder that is no link, and fewer versions than a switch needs", async () => {
    await expect((await open({ modelId: 'other' })).pull()).rejects.toThrow(
      'model other: a published version, got none',
    );
    await (await open()).pull();
    await expect(open({ modelId: 'other' })).rejects.toThrow('versions of model other, got those of m');
    await expect(open({ keep: 1 })).rejects.toThrow('versions to keep: a whole number of at least 2, got 1');
    await rm(join(path, 'current'));
    await mkdir(join(path, 'current'));
    await expect((await open()).pull()).rejects.toThrow('current: a link to a pulled version, got something else');
  });
});

describe('damage in a version folder', () => {
  it('of any file is put right by the next process, from the cache or the store', async () => {
    const { path: pulled } = await (await open()).pull();
    const files = filesBelow(pulled).map((file) => join(file.parentPath, file.name));
    expect(files).toHaveLength(4);
    for (const file of files) {
      const { size } = statSync(file);
      await chmod(file, 0o644);
      // Through the hard link this is the cache's content too.
      await writeFile(file, 'something else');
      const { store: watched, since } = counted(store);
      const repaired = await (await open({ store: watched })).pull();
      expect(repaired).toMatchObject({ version: 2, isNew: false, fetchedBytes: size });
      expect(since()).toHaveLength(2);
      await rm(file);
      expect(await (await open()).pull()).toMatchObject({ version: 2, isNew: false, fetchedBytes: 0 });
      expect(readCurrent(path)).toBe(2);
    }
  });

  it('of the state is said, and without it the version is found again without a fetch', async () => {
    await (await open()).pull();
    const state = join(path, '.hookline/state.json');
    await writeFile(state, '{"schemaVersion": 1');
    await expect(open()).rejects.toThrow(/state\.json: JSON in UTF-8/);
    await rm(state);
    expect(await (await open()).pull()).toMatchObject({ version: 2, isNew: false, fetchedBytes: 0 });
  });

  it('and whatever else happens, in any order, leaves the latest version current after a pull', async () => {
    const step = fc.oneof(
      fc.constant('publish' as const),
      fc.constant('roll back' as const),
      fc.constant('pull' as const),
      fc.constant('pull first' as const),
      fc.constant('reopen' as const),
      fc.constant('damage' as const),
    );
    const property = fc.asyncProperty(fc.array(step, { maxLength: 20 }), fc.nat(), async (steps, seed) => {
      path = join(root, crypto.randomUUID());
      store = new MemoryObjectStore();
      await publishRound(store, 'one');
      let folder = await open();
      for (const [index, name] of [...steps, 'pull' as const].entries()) {
        const { version } = (await latest(store, 'm'))!;
        if (name === 'publish') await publishRound(store, `edit ${index}`);
        if (name === 'roll back') await rollback(store, 'm', 1 + (seed % version), 'test');
        if (name === 'pull first') expect((await folder.pull(1)).version).toBe(1);
        if (name === 'reopen') folder = await open();
        if (name === 'damage' && existsSync(path)) {
          const files = filesBelow(join(path, 'pulled'));
          if (files.length === 0) continue;
          const file = files[seed % files.length];
          await rm(join(file.parentPath, file.name));
          folder = await open();
        }
        if (name === 'pull') expect((await folder.pull()).version).toBe(version);
        if (name.startsWith('pull')) readCurrent(path);
      }
      expect(readCurrent(path)).toBe((await latest(store, 'm'))!.version);
      expect(pulledNames(path).length).toBeLessThanOrEqual(3);
    });
    await fc.assert(property, { numRuns: 40 });
  });
});

describe('processes at a version folder', () => {
  /** Pulls without end whatever is the latest, and moves that itself; arguments: store, folder, versions, mean pause. */
  const flipper = scripts.write(`
import { DirectoryObjectStore } from './registry/directory-object-store.js';
import { rollback, VersionFolder } from './registry/index.js';
const [, , location, path, versions, pauseMs, keep] = process.argv;
const store = new DirectoryObjectStore(location);
console.log('ready');
for (;;) {
  await rollback(store, 'm', 1 + Math.floor(Math.random() * Number(versions)), 'test');
  const folder = await VersionFolder.open({ store, modelId: 'm', path, keep: Number(keep) });
  console.log('pulling');
  await folder.pull();
  console.log('pulled');
  await new Promise((resolve) => setTimeout(resolve, 2 * Math.random() * Number(pauseMs)));
}`);

  async function publishedFolder(versions: number): Promise<{ shared: DirectoryObjectStore; location: string }> {
    const location = join(root, crypto.randomUUID());
    const shared = new DirectoryObjectStore(location);
    for (let version = 1; version <= versions; version++) await publishRound(shared, `edit ${version}`);
    return { shared, location };
  }

  it('never find a missing or a mixed file behind the link, however often it is switched', async () => {
    const { shared, location } = await publishedFolder(4);
    await (await open({ store: shared })).pull();
    const child = scripts.run(flipper, location, path, '4', '2', '4');
    await child.printed('ready');
    const seen = new Map<number, number>();
    const endAt = performance.now() + 2000;
    while (seen.size < 4 || performance.now() < endAt) {
      await new Promise(setImmediate);
      const version = readCurrent(path);
      seen.set(version, (seen.get(version) ?? 0) + 1);
    }
    child.process.kill('SIGKILL');
    const { output } = await child.ended;
    expect(output.split('pulled').length - 1).toBeGreaterThanOrEqual(3);
  });

  it('may be killed at any point: what is current stays whole, and the next pull completes and clears up', async () => {
    const { shared, location } = await publishedFolder(4);
    const counts = { pulling: 0, pulled: 0 };
    // However slow the processes are, some come far enough: they are given more time again and again.
    const isEnough = () => counts.pulled > 0 && counts.pulling > counts.pulled;
    for (let round = 0; round < 12 || !isEnough(); round++) {
      const child = scripts.run(flipper, location, path, '4', '0', '2');
      await child.printed('ready');
      await new Promise((resolve) => setTimeout(resolve, 20 * (round + 2) * Math.random()));
      child.process.kill('SIGKILL');
      for (const line of (await child.ended).output.split('\n')) {
        if (line === 'pulling' || line === 'pulled') counts[line]++;
      }
      if (existsSync(join(path, 'current'))) readCurrent(path);
      if (round % 3 !== 2) continue;
      const { version } = (await latest(shared, 'm'))!;
      expect((await (await open({ store: shared, keep: 2 })).pull()).version).toBe(version);
      expect(readCurrent(path)).toBe(version);
      expect(pulledNames(path).length).toBeLessThanOrEqual(2);
      for (const folder of ['drafts', 'locks']) expect(readdirSync(join(path, '.hookline', folder))).toEqual([]);
    }
  });
});

describe('a watch of a version folder', () => {
  it('follows publishes and rollbacks, and tells again what was not taken', async () => {
    const stop = new AbortController();
    const told: string[] = [];
    const errors: string[] = [];
    await watchVersions(await open(), {
      intervalSeconds: 0.002,
      signal: stop.signal,
      onVersion: async ({ version, previous }) => {
        told.push(`${previous} -> ${version}`);
        if (told.length === 1) await publishRound(store, 'three');
        if (told.length === 2) throw new Error('not now');
        if (told.length === 3) await rollback(store, 'm', 1, 'test');
        if (told.length === 4) stop.abort();
      },
      onError: (error) => errors.push((error as Error).message),
    });
    expect(told).toEqual(['undefined -> 2', '2 -> 3', '2 -> 3', '3 -> 1']);
    expect(errors).toEqual(['not now']);
    expect(readCurrent(path)).toBe(1);
  });
});
