import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ConflictError } from '../../../src/errors.js';
import { DirectoryObjectStore } from '../../../src/registry/directory-object-store.js';
import { digestOf } from '../../../src/registry/index.js';
import { mayBeRunning, processIdentity } from '../../../src/registry/process-identity.js';
import { ScriptFolder } from '../../support/node-child.js';
import { patienceSeconds } from '../../support/patience.js';

const scripts = new ScriptFolder(['registry']);
const folder = await mkdtemp(join(tmpdir(), 'hookline-processes-'));
let count = 0;
const newRoot = () => join(folder, `store-${count++}`);
afterAll(async () => {
  scripts.remove();
  await rm(folder, { recursive: true });
});

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const lockPath = (root: string, key: string) => join(root, '.hookline/locks', digestOf(key));

const holder = scripts.write(`
import { withLock } from './registry/lock-file.js';
const [, , locks, name, draftFolder] = process.argv;
await withLock(locks, name, { draftFolder, timeoutSeconds: ${patienceSeconds} }, async () => {
  console.log('held');
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});`);

/** A process that holds the lock of a key until it is killed. */
async function holdLock(root: string, key: string) {
  const child = scripts.run(holder, join(root, '.hookline/locks'), digestOf(key), join(root, '.hookline/drafts'));
  await child.printed('held');
  return child;
}

const kill = async (child: ReturnType<ScriptFolder['run']>) => {
  child.process.kill('SIGKILL');
  await child.ended;
};

const incrementer = scripts.write(`
import { DirectoryObjectStore } from './registry/directory-object-store.js';
import { PreconditionFailedError } from './errors.js';
const store = new DirectoryObjectStore(process.argv[2], { lockTimeoutSeconds: ${patienceSeconds} });
for (let done = 0; done < Number(process.argv[3]); ) {
  const { bytes, etag } = await store.get('count');
  try {
    await store.put('count', new TextEncoder().encode(String(Number(new TextDecoder().decode(bytes)) + 1)), { ifMatch: etag });
    done++;
  } catch (error) {
    if (!(error instanceof PreconditionFailedError)) throw error;
  }
}`);

const reader = scripts.write(`
import { DirectoryObjectStore } from './registry/directory-object-store.js';
if (process.getuid?.() === 0) process.setgid(65534), process.setuid(65534);
const store = new DirectoryObjectStore(process.argv[2], { settleSeconds: 0 });
const told = (await store.arrivals('incoming/')).map(({ key, problem }) => [key, problem]);
const failure = await store.get('incoming/m/locked').catch((error) => [error.name, error.code]);
console.log(JSON.stringify({ told, failure }));`);

describe('a process without the right to read a file', () => {
  it('tells of it, reads the others, and says what it lacks for that one alone', async () => {
    const root = newRoot();
    await mkdir(join(root, 'incoming/m/folder'), { recursive: true });
    for (const name of ['locked', 'good', 'folder/file']) await writeFile(join(root, 'incoming/m', name), name);
    await chmod(join(root, 'incoming/m/locked'), 0);
    await chmod(join(root, 'incoming/m/folder'), 0);
    for (const part of [folder, root]) await chmod(part, 0o755);
    const { output } = await scripts.run(reader, root).ended;
    await chmod(join(root, 'incoming/m/folder'), 0o755);
    const { told, failure } = JSON.parse(output) as { told: [string, string | null][]; failure: string[] };
    const refused = 'the right to read it, got EACCES';
    // JSON has no undefined.
    const expected = { 'incoming/m/good': null, 'incoming/m/locked': refused, 'incoming/m/folder': refused };
    expect(Object.fromEntries(told)).toEqual(expected);
    expect(failure).toEqual(['StoreUnavailableError', 'EACCES']);
  });
});

describe('processes that share a directory store', () => {
  it('let exactly one of 20 creations win', async () => {
    const root = newRoot();
    const creator = scripts.write(`
import { existsSync } from 'node:fs';
import { DirectoryObjectStore } from './registry/directory-object-store.js';
import { PreconditionFailedError } from './errors.js';
const store = new DirectoryObjectStore(process.argv[2], { lockTimeoutSeconds: ${patienceSeconds} });
console.log('ready');
while (!existsSync(process.argv[4])) await new Promise((resolve) => setTimeout(resolve, 1));
try {
  await store.put('one', new TextEncoder().encode(process.argv[3]), { ifNoneMatch: '*' });
  console.log('won');
} catch (error) {
  if (!(error instanceof PreconditionFailedError)) throw error;
}`);
    const start = join(folder, 'start');
    const children = Array.from({ length: 20 }, (_, index) => scripts.run(creator, root, `${index}`, start));
    await Promise.all(children.map((child) => child.printed('ready')));
    await writeFile(start, '');
    const ends = await Promise.all(children.map((child) => child.ended));
    const winners = ends.flatMap(({ output }, index) => (output === 'ready\nwon\n' ? [String(index)] : []));
    expect(ends.map(({ code }) => code)).toEqual(ends.map(() => 0));
    expect(winners).toHaveLength(1);
    expect(textOf((await new DirectoryObjectStore(root).get('one')).bytes)).toBe(winners[0]);
  });

  it('lose no increment by compare-and-swap, beginning from a lock whose owner was killed', async () => {
    const root = newRoot();
    const store = new DirectoryObjectStore(root);
    await store.put('count', bytesOf('0'));
    await kill(await holdLock(root, 'count'));
    const ends = await Promise.all(Array.from({ length: 6 }, () => scripts.run(incrementer, root, '15').ended));
    expect(ends.map(({ code }) => code)).toEqual(ends.map(() => 0));
    expect(textOf((await store.get('count')).bytes)).toBe('90');
    expect(await readdir(join(root, '.hookline/locks'))).toEqual([]);
  });

  it('never stand inside one lock together, though they are killed at random points', async () => {
    const root = newRoot();
    await mkdir(root);
    const worker = scripts.write(`
import { readFile, rm, writeFile } from 'node:fs/promises';
import { withLock } from './registry/lock-file.js';
import { mayBeRunning, processIdentity } from './registry/process-identity.js';
const [, , root, lifeMs] = process.argv;
const me = await processIdentity();
setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(lifeMs));
for (;;) {
  await withLock(root, 'lock', { draftFolder: root + '/drafts', timeoutSeconds: ${patienceSeconds} }, async () => {
    const inside = await readFile(root + '/inside', 'utf8').catch(() => '');
    if (inside !== '' && await mayBeRunning(inside)) console.log('two inside');
    await writeFile(root + '/inside', me);
    console.log('entered');
    if (Math.random() < 0.1) process.kill(process.pid, 'SIGKILL');
    if (await readFile(root + '/inside', 'utf8') !== me) console.log('two inside');
    await rm(root + '/inside');
  });
}`);
    let entered = 0;
    const oneAfterTheOther = async () => {
      for (let round = 0; round < 6 || entered <= 20; round++) {
        const { output } = await scripts.run(worker, root, String(100 + 200 * Math.random())).ended;
        expect(output).not.toContain('two inside');
        entered += output.split('entered').length - 1;
      }
    };
    await Promise.all(Array.from({ length: 5 }, oneAfterTheOther));
  });

  it('never show half of a write, though writers are killed in the middle of it', async () => {
    const root = newRoot();
    const store = new DirectoryObjectStore(root);
    const sizeBytes = 2_000_000;
    await store.put('big', new Uint8Array(sizeBytes));
    const writer = scripts.write(`
import { DirectoryObjectStore } from './registry/directory-object-store.js';
const store = new DirectoryObjectStore(process.argv[2], { lockTimeoutSeconds: ${patienceSeconds} });
console.log('ready');
for (let value = 1; ; value++) await store.put('big', new Uint8Array(${sizeBytes}).fill(value));`);
    for (let round = 0; round < 6; round++) {
      const child = scripts.run(writer, root);
      await child.printed('ready');
      const killAt = performance.now() + 20 + 40 * round;
      while (performance.now() < killAt) {
        const { bytes } = await store.get('big');
        expect(bytes.length).toBe(sizeBytes);
        expect(bytes.every((value) => value === bytes[0])).toBe(true);
      }
      await kill(child);
    }
    await new DirectoryObjectStore(root).put('big', bytesOf('small'));
    expect(await readdir(join(root, '.hookline/drafts'))).toEqual([]);
    expect(textOf((await store.get('big')).bytes)).toBe('small');
  });
});

describe('the lock of a key', () => {
  it('is a conflict while a running process holds it, and free at once when that process is killed', async () => {
    const root = newRoot();
    const child = await holdLock(root, 'a');
    const impatient = new DirectoryObjectStore(root, { lockTimeoutSeconds: 0.1 });
    const patient = new DirectoryObjectStore(root, { lockTimeoutSeconds: patienceSeconds });
    await expect(impatient.put('a', bytesOf('x'))).rejects.toThrow(ConflictError);
    await patient.put('b', bytesOf('other keys are free'));
    await kill(child);
    await patient.put('a', bytesOf('x'));
    expect(await readdir(join(root, '.hookline/locks'))).toEqual([]);
  });

  it('passes over a chain of owners that all were killed', async () => {
    const root = newRoot();
    for (let round = 0; round < 3; round++) await kill(await holdLock(root, 'a'));
    expect(await readdir(join(root, '.hookline/locks'))).toHaveLength(3);
    await new DirectoryObjectStore(root, { lockTimeoutSeconds: patienceSeconds }).put('a', bytesOf('x'));
    expect(await readdir(join(root, '.hookline/locks'))).toEqual([]);
  });

  it('is not kept by a later process that has the same id', async () => {
    const root = newRoot();
    const store = new DirectoryObjectStore(root, { lockTimeoutSeconds: patienceSeconds });
    await store.put('a', bytesOf('x'));
    const [host, boot, pid, start] = (await processIdentity()).split('.');
    await writeFile(lockPath(root, 'a'), [host, boot, pid, Number(start) - 1].join('.').concat('.token'));
    await store.put('a', bytesOf('y'));
    await writeFile(lockPath(root, 'a'), `${host}.earlierboot.${pid}.${start}.token`);
    await store.put('a', bytesOf('z'));
  });

  it('is respected when it was taken on another host', async () => {
    const root = newRoot();
    const store = new DirectoryObjectStore(root, { lockTimeoutSeconds: 0.05 });
    await store.put('a', bytesOf('x'));
    await writeFile(lockPath(root, 'a'), 'otherhost.boot.1.1.token');
    const error = await store.put('a', bytesOf('y')).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConflictError);
    expect(String((error as ConflictError).cause)).toContain('otherhost');
  });
});

describe('the identity of a process', () => {
  it('says that this process runs, and that none of another form does', async () => {
    expect(await mayBeRunning(await processIdentity())).toBe(true);
    for (const name of ['', 'a.b.c.d', 'a.b.-1.d', 'a.b.1', 'a.b.1.c.d']) expect(await mayBeRunning(name)).toBe(false);
  });
});
