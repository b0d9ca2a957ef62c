import { execFileSync } from 'node:child_process';
import { link, mkdir, mkdtemp, open, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  InvalidInputError,
  NoSuchKeyError,
  PreconditionFailedError,
  StoreUnavailableError,
} from '../../../src/errors.js';
import { DirectoryObjectStore } from '../../../src/registry/directory-object-store.js';
import { openStore, S3ObjectStore } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { describeObjectStoreContract } from '../../support/object-store-contract.js';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const folder = await mkdtemp(join(tmpdir(), 'hookline-store-'));
let count = 0;
const newRoot = () => join(folder, `store-${count++}`, 'deep');
afterAll(() => rm(folder, { recursive: true }));

describeObjectStoreContract('a directory', async () => new DirectoryObjectStore(newRoot()));

describe('a directory store', () => {
  let root: string;
  let store: DirectoryObjectStore;
  beforeEach(() => {
    root = newRoot();
    store = new DirectoryObjectStore(root);
  });

  it('creates its folder with the first write and not with a read', async () => {
    expect(await store.head('a')).toBeUndefined();
    await store.delete('a');
    await expect(readdir(root)).rejects.toThrow('ENOENT');
    await store.put('a', bytesOf('x'));
    expect(await readdir(root)).toContain('a');
  });

  it('is seen by another store on the same folder, with the same ETags', async () => {
    const { etag } = await store.put('a/b', bytesOf('x'));
    expect(await new DirectoryObjectStore(root).head('a/b')).toEqual({ etag, sizeBytes: 1 });
  });

  it('takes a file that another program put there for an object', async () => {
    await mkdir(join(root, 'incoming', 'm'), { recursive: true });
    await writeFile(join(root, 'incoming/m/batch.jsonl'), 'lines');
    expect(await store.list('incoming/')).toEqual(['incoming/m/batch.jsonl']);
    const { bytes, etag } = await store.get('incoming/m/batch.jsonl');
    expect(textOf(bytes)).toBe('lines');
    await store.put('incoming/m/batch.jsonl', bytesOf('more'), { ifMatch: etag });
  });

  it('loses no file that another program drops while others are taken out', async () => {
    const [path, drops] = [join(root, 'incoming/m/batch.jsonl'), 200];
    await mkdir(dirname(path), { recursive: true });
    const taken: string[] = [];
    let isDropping = true;
    const dropper = async () => {
      for (let index = 0; index < drops; ) {
        await writeFile(join(root, 'draft'), `${index}`);
        // A link is refused where something is, so that whatever was dropped must be taken by somebody.
        const isDropped = await link(join(root, 'draft'), path).then(
          () => true,
          () => false,
        );
        await rm(join(root, 'draft'));
        if (isDropped) index++;
      }
      isDropping = false;
    };
    const taker = async () => {
      let before = '"0"';
      while (isDropping) {
        const found = await store.get('incoming/m/batch.jsonl').catch(() => undefined);
        if (found === undefined) continue;
        // As one who read an earlier file under this name, and then as one who read this.
        await store.delete('incoming/m/batch.jsonl', { ifMatch: before }).catch(refusedOnly);
        before = found.etag;
        const isTaken = await store
          .delete('incoming/m/batch.jsonl', { ifMatch: found.etag })
          .then(() => true, refusedOnly);
        if (isTaken) taken.push(textOf(found.bytes));
      }
    };
    const refusedOnly = (error: unknown) => {
      if (!(error instanceof PreconditionFailedError)) throw error;
      return false;
    };
    await Promise.all([dropper(), taker()]);
    const settled = new DirectoryObjectStore(root, { settleSeconds: 0 });
    // What came between a reading and a removal.
    await settled.dropLateWrites();
    for (const key of await store.list('incoming/')) taken.push(textOf((await store.get(key)).bytes));
    expect(new Set(taken)).toEqual(new Set(Array.from({ length: drops }, (_, index) => `${index}`)));
  });

  it('looks after what it removed of another program, and drops anew what is written to it', async () => {
    const key = 'incoming/m/batch.jsonl';
    const settled = new DirectoryObjectStore(root, { settleSeconds: 0 });
    await mkdir(dirname(join(root, key)), { recursive: true });
    await writeFile(join(root, key), 'one\n');
    const { etag } = await settled.get(key);
    const writer = await open(join(root, key), 'a');
    await settled.delete(key, { ifMatch: etag });
    expect(await settled.list('')).toEqual([]);
    expect(await settled.dropLateWrites()).toEqual([]);
    await writer.write('two\nthr');
    // On Linux it is seen that the file is open.
    if (process.platform === 'linux') expect(await settled.dropLateWrites()).toEqual([]);
    await writer.close();
    const [late] = await settled.dropLateWrites();
    expect(late).toMatch(/^incoming\/m\/batch\.[0-9a-f]{12}\.jsonl$/);
    expect(textOf((await settled.get(late)).bytes)).toBe('two\nthr');
    expect(await settled.dropLateWrites()).toEqual([]);
  });

  it('drops anew what a process had moved away that was killed at any moment after that', async () => {
    const settled = new DirectoryObjectStore(root, { settleSeconds: 0 });
    const key = 'incoming/m/batch.jsonl';
    await mkdir(dirname(join(root, key)), { recursive: true });
    await writeFile(join(root, key), 'one\n');
    await settled.delete(key, { ifMatch: (await settled.get(key)).etag });
    const [id] = await readdir(join(root, '.hookline/taken'));
    const file = join(root, '.hookline/taken', id, 'file');
    // As if it had been replaced between reading and moving.
    await writeFile(file, 'another file\n');
    const [late] = await settled.dropLateWrites();
    expect(textOf((await settled.get(late)).bytes)).toBe('another file\n');
    // Looked after for a day, and gone then.
    const record = join(root, '.hookline/taken', id, 'taken.json');
    const taken = JSON.parse(await readFile(record, 'utf8'));
    await writeFile(record, JSON.stringify({ ...taken, at: '2026-01-01T00:00:00.000Z' }));
    await settled.dropLateWrites();
    expect(await readdir(join(root, '.hookline/taken'))).toEqual([]);
  });

  it('opens nothing but regular files', async () => {
    await mkdir(join(root, 'incoming'), { recursive: true });
    execFileSync('mkfifo', [join(root, 'incoming/pipe')]);
    await symlink('/dev/zero', join(root, 'incoming/zero'));
    for (const name of ['pipe', 'zero']) {
      expect(await store.head(`incoming/${name}`), name).toBeUndefined();
      await expect(store.get(`incoming/${name}`), name).rejects.toThrow(NoSuchKeyError);
    }
    const arrivals = await store.arrivals('incoming/');
    expect(arrivals.map(({ problem }) => problem)).toEqual([
      'a regular file, got a pipe, socket or device',
      'a regular file, got a symbolic link',
    ]);
  });

  it('tells of other programs what arrived when, what still grows, and what no key can name', async () => {
    const settling = new DirectoryObjectStore(root, { settleSeconds: 60 });
    const folder = join(root, 'incoming/m');
    await mkdir(folder, { recursive: true });
    for (const name of ['b', 'a', 'c', 'no\nkey']) await writeFile(join(folder, name), name);
    for (const [name, second] of [
      ['b', 1],
      ['a', 2],
      ['c', 2],
    ] as const)
      await utimes(join(folder, name), second, second);
    const told = (await settling.arrivals('incoming/')).map(({ key, arrivedAt, isGrowing }) => [
      key,
      arrivedAt,
      isGrowing,
    ]);
    // The status of each was changed just now, whatever its time of the last write.
    expect(told.slice(0, 3)).toEqual([
      ['incoming/m/b', 1000, true],
      ['incoming/m/a', 2000, true],
      ['incoming/m/c', 2000, true],
    ]);
    const [, , , unnamed] = await store.arrivals('incoming/');
    expect(unnamed.problem).toContain('a name that an object can have');
  });

  it('does not create a folder anew that was there, and says so for every method', async () => {
    await store.put('a', bytesOf('x'));
    await rm(root, { recursive: true });
    const calls = [
      () => store.put('a', bytesOf('x')),
      () => store.get('a'),
      () => store.head('a'),
      () => store.list(''),
      () => store.arrivals('incoming/'),
      () => store.delete('a'),
      () => new DirectoryObjectStore(root, { mustExist: true }).put('a', bytesOf('x')),
    ];
    for (const call of calls) await expect(call()).rejects.toThrow(StoreUnavailableError);
    await expect(readdir(root)).rejects.toThrow('ENOENT');
  });

  it('leaves nothing but objects, once its writes are done', async () => {
    await store.put('a', bytesOf('x'));
    await store.put('a', bytesOf('y'));
    expect(await readdir(join(root, '.hookline/locks'))).toEqual([]);
    expect(await readdir(join(root, '.hookline/drafts'))).toEqual([]);
    expect(await store.list('')).toEqual(['a']);
  });

  it('refuses a key below another object, and an object where a folder is', async () => {
    await store.put('a/b', bytesOf('x'));
    await expect(store.put('a/b/c', bytesOf('y'))).rejects.toThrow(InvalidInputError);
    await expect(store.put('a', bytesOf('y'))).rejects.toThrow(InvalidInputError);
    expect(await readdir(join(root, '.hookline/drafts'))).toEqual([]);
  });

  it('follows no symbolic link below its root', async () => {
    const outside = join(folder, `outside-${count}`);
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
    await store.put('a', bytesOf('x'));
    await symlink(outside, join(root, 'linked'));
    await symlink(join(outside, 'secret'), join(root, 'file'));
    await expect(store.get('linked/secret')).rejects.toThrow(NoSuchKeyError);
    await expect(store.get('file')).rejects.toThrow(NoSuchKeyError);
    expect(await store.head('file')).toBeUndefined();
    expect(await store.list('')).toEqual(['a']);
    expect(await store.list('linked/')).toEqual([]);
    await expect(store.put('linked/new', bytesOf('y'))).rejects.toThrow(InvalidInputError);
    await store.delete('linked/secret');
    expect(await readdir(outside)).toEqual(['secret']);
    await store.put('file', bytesOf('mine'));
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
  });

  it('works through a root that is itself a link', async () => {
    await store.put('a/b', bytesOf('x'));
    const link = join(folder, `link-${count}`);
    await symlink(root, link);
    const linked = new DirectoryObjectStore(link);
    expect(await linked.list('')).toEqual(['a/b']);
    await linked.put('a/c', bytesOf('y'));
    expect(textOf((await store.get('a/c')).bytes)).toBe('y');
  });
});

describe('openStore', () => {
  it('opens folders, file URLs and memory', () => {
    expect(openStore('./some/dir')).toBeInstanceOf(DirectoryObjectStore);
    expect(openStore('memory:')).toBeInstanceOf(MemoryObjectStore);
    const store = openStore(pathToFileURL(join(folder, 'with space')).href);
    expect((store as DirectoryObjectStore).root).toBe(join(folder, 'with space'));
  });

  it('opens buckets, without asking anybody', () => {
    const store = openStore('s3://some-bucket/a/b/') as S3ObjectStore;
    expect(store).toBeInstanceOf(S3ObjectStore);
    expect([store.bucket, store.prefix]).toEqual(['some-bucket', 'a/b/']);
    expect((openStore('S3://some-bucket') as S3ObjectStore).prefix).toBe('');
    for (const bad of [
      's3:',
      's3://',
      's3:///a',
      's3://B',
      's3://some-bucket/../a',
      's3://some-bucket//a',
      's3://a b',
    ]) {
      expect(() => openStore(bad), bad).toThrow(InvalidInputError);
    }
  });

  it('names what is supported for anything else', () => {
    for (const location of ['', 'https://example.org', 'file://host/x', 'a\0b']) {
      expect(() => openStore(location)).toThrow(InvalidInputError);
    }
  });
});
