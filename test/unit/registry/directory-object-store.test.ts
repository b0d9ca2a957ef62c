import { link, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { InvalidInputError, NoSuchKeyError, PreconditionFailedError } from '../../../src/errors.js';
import { DirectoryObjectStore } from '../../../src/registry/directory-object-store.js';
import { openStore, processIdentity, S3ObjectStore } from '../../../src/registry/index.js';
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
    for (const key of await store.list('incoming/')) taken.push(textOf((await store.get(key)).bytes));
    expect(new Set(taken)).toEqual(new Set(Array.from({ length: drops }, (_, index) => `${index}`)));
    expect(await readdir(join(root, '.hookline/aside'))).toEqual([]);
  });

  it('puts back what a process had set aside that was killed before it could tell what it was', async () => {
    const ended = (await processIdentity()).split('.').with(2, '4194305').join('.');
    const killed = join(root, '.hookline/aside', `${ended}.one`, 'incoming/m');
    const running = join(root, '.hookline/aside', `${await processIdentity()}.two`, 'incoming/m');
    for (const place of [killed, running]) {
      await mkdir(place, { recursive: true });
      await writeFile(join(place, 'batch.jsonl'), place === killed ? 'left' : 'being looked at');
    }
    await store.put('other', bytesOf('x'));
    expect(textOf((await store.get('incoming/m/batch.jsonl')).bytes)).toBe('left');
    expect(await store.list('')).toEqual(['incoming/m/batch.jsonl', 'other']);
    expect(await readdir(join(root, '.hookline/aside'))).toEqual([expect.stringMatching(/two$/)]);
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
