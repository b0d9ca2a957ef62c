import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TransientError } from '../../../src/errors.js';
import { type InboxWatcher, type InboxWatcherOptions, watchInboxes } from '../../../src/local/inbox-watcher.js';
import { DirectoryObjectStore } from '../../../src/registry/directory-object-store.js';
import { registrationKey } from '../../../src/registry/index.js';
import { encodeCanonical } from '../../../src/registry/stored-json.js';
import { pendingNames, readPending, readUnit } from '../../../src/workflow/queue/pending-units.js';
import { ingestStage } from '../../../src/workflow/stages/ingest.js';
import { dependenciesOn, editLine, modelId, registrationOf } from '../../support/control-plane.js';
import { patienceSeconds } from '../../support/patience.js';

const settleSeconds = 0.3;
let root: string;
let store: DirectoryObjectStore;
let watcher: InboxWatcher;
let problems: string[];
let told: string[];
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'hookline-inbox-'));
  store = new DirectoryObjectStore(root, { settleSeconds });
  await store.put(registrationKey(modelId), encodeCanonical(registrationOf()));
  mkdirSync(join(root, 'incoming/m'), { recursive: true });
  [problems, told] = [[], []];
});
afterEach(async () => {
  await watcher.close();
  rmSync(root, { recursive: true, force: true });
});

const pathOf = (name: string) => join(root, 'incoming/m', name);
const line = (id: string) => `${editLine(id)}\n`;
const patience = { timeout: 1000 * patienceSeconds };

/** Each execution does what its first state does. */
const ingest: InboxWatcherOptions['start'] = async (input) => {
  told.push(input.objectKey);
  const executionId = `e${told.length}`;
  return { ended: ingestStage({ ...input, executionId }, { ...dependenciesOn(store), now: () => new Date() }) };
};

function watch(start: InboxWatcherOptions['start'] = ingest): void {
  watcher = watchInboxes({ store, start, onProblem: (problem) => problems.push(problem), scanSeconds: 0.05 });
}

async function taken(): Promise<string[]> {
  const edits: string[] = [];
  for (const name of await pendingNames(store, modelId))
    for (const { id } of await readUnit(store, modelId, await readPending(store, modelId, name))) edits.push(id);
  return edits;
}

describe('the watch of the inboxes', () => {
  it('takes files that lay there, that come, and that come into new folders', async () => {
    writeFileSync(pathOf('early.jsonl'), line('early'));
    watch();
    // The system's clock for files goes in steps of some milliseconds.
    await sleep(50);
    mkdirSync(dirname(pathOf('2026/late.jsonl')));
    writeFileSync(pathOf('2026/late.jsonl'), line('late'));
    await expect.poll(taken, patience).toEqual(['early', 'late']);
    expect(problems).toEqual([]);
  });

  it('takes nothing that grows, has a name of something unfinished, or is empty', async () => {
    watch();
    for (const name of ['.edits.jsonl.a8Xk', 'a.jsonl.part', 'b.jsonl~', '.deep/c.jsonl', 'd.jsonl.crdownload']) {
      mkdirSync(dirname(pathOf(name)), { recursive: true });
      writeFileSync(pathOf(name), line('hidden'));
    }
    writeFileSync(pathOf('edits.jsonl'), '');
    await sleep(1500 * settleSeconds);
    writeFileSync(pathOf('other.jsonl'), line('other'));
    await expect.poll(taken, patience).toEqual(['other']);
    renameSync(pathOf('a.jsonl.part'), pathOf('a.jsonl'));
    await expect.poll(taken, patience).toEqual(['other', 'hidden']);
    expect(problems).toEqual([]);
  });

  it.runIf(process.platform === 'linux')('takes nothing that a program has open for writing', async () => {
    watch();
    const file = openSync(pathOf('slow.jsonl'), 'w');
    writeSync(file, line('a'));
    await sleep(3000 * settleSeconds);
    expect(told).toEqual([]);
    writeSync(file, line('b'));
    closeSync(file);
    await expect.poll(taken, patience).toEqual(['a', 'b']);
  });

  it('takes as a further batch what is written to a file after it was taken, from the line that was cut', async () => {
    const [first, second, third, fourth] = ['a', 'b', 'c', 'd'].map(line);
    const path = pathOf('slow.jsonl');
    writeFileSync(path, first + second.slice(0, 20));
    // A writer of which this machine sees nothing: it has the file open under its name, and writes through that.
    const [event] = await store.arrivals('incoming/');
    await ingestStage(
      { trigger: 'drop', objectKey: event.key, modelId: '', executionId: 'e0' },
      { ...dependenciesOn(store), now: () => new Date() },
    );
    expect(await taken()).toEqual(['a']);
    const [moved] = execFileSync('find', [join(root, '.hookline/taken'), '-name', 'file'], { encoding: 'utf8' }).split(
      '\n',
    );
    appendFileSync(moved, second.slice(20) + third);
    watch();
    await expect.poll(taken, patience).toEqual(['a', 'b', 'c']);
    appendFileSync(moved, fourth.trimEnd());
    await expect.poll(taken, patience).toEqual(['a', 'b', 'c', 'd']);
    expect(problems).toEqual([]);
  });

  it('takes ten files in the order of their arrival, whatever their names', async () => {
    const names = ['7', '2', '9', '0', '5', '1', '8', '3', '6', '4'];
    watch();
    for (const name of names) {
      writeFileSync(pathOf(name), line(name));
      await sleep(40);
    }
    await expect.poll(taken, patience).toEqual(names);
  });

  it('names a file that it cannot take once, and takes the others and, when it can, that one', async () => {
    execFileSync('mkfifo', [pathOf('pipe')]);
    symlinkSync('/dev/zero', pathOf('link.jsonl'));
    writeFileSync(join(root, 'incoming/stray.jsonl'), line('stray'));
    mkdirSync(join(root, 'incoming/unknown'));
    writeFileSync(join(root, 'incoming/unknown/a.jsonl'), line('a'));
    watch();
    writeFileSync(pathOf('good.jsonl'), line('good'));
    await expect.poll(taken, patience).toEqual(['good']);
    await sleep(300);
    expect([...problems].sort()).toEqual([
      'incoming/m/link.jsonl: left where it is: a regular file, got a symbolic link',
      'incoming/m/pipe: left where it is: a regular file, got a pipe, socket or device',
      'incoming/stray.jsonl: left where it is: a file in incoming/<model id>/, got incoming/stray.jsonl',
      'incoming/unknown/a.jsonl: left where it is: a model that is registered, got unknown (hookline model register, or hookline up --model)',
    ]);
    await store.put(registrationKey('unknown'), encodeCanonical(registrationOf({ modelId: 'unknown' })));
    await expect.poll(() => pendingNames(store, 'unknown'), patience).toHaveLength(1);
  });

  it.skipIf(process.getuid?.() === 0)('waits for the right to read a file', async () => {
    writeFileSync(pathOf('locked.jsonl'), line('locked'));
    chmodSync(pathOf('locked.jsonl'), 0);
    watch();
    writeFileSync(pathOf('good.jsonl'), line('good'));
    await expect.poll(taken, patience).toEqual(['good']);
    expect(problems).toEqual(['incoming/m/locked.jsonl: left where it is: the right to read it, got EACCES']);
    chmodSync(pathOf('locked.jsonl'), 0o644);
    await expect.poll(taken, patience).toEqual(['good', 'locked']);
  });

  it('tries again, after growing pauses, what could not be started or still waits after its execution', async () => {
    let starts = 0;
    const at: number[] = [];
    watch(async (input) => {
      at.push(performance.now());
      starts++;
      if (starts === 1) throw new TransientError('store: writable, got EROFS');
      return starts === 2 ? { ended: Promise.resolve() } : ingest(input);
    });
    writeFileSync(pathOf('a.jsonl'), line('a'));
    await expect.poll(taken, patience).toEqual(['a']);
    expect(starts).toBe(3);
    expect(at[1] - at[0]).toBeGreaterThan(900);
    expect(at[2] - at[1]).toBeGreaterThan(1900);
    expect(problems).toEqual(['inbox of m: store: writable, got EROFS']);
  });

  it('does not create a store anew that was moved away, and goes on when it is back', async () => {
    watch();
    await sleep(100);
    renameSync(root, `${root}-moved`);
    await expect
      .poll(() => problems, patience)
      .toEqual([`store ${root}: a folder that is there (was it moved, or is its disk not mounted?), got ENOENT`]);
    await expect(store.put('a', new Uint8Array())).rejects.toThrow('got ENOENT');
    renameSync(`${root}-moved`, root);
    writeFileSync(pathOf('a.jsonl'), line('a'));
    await expect.poll(taken, patience).toEqual(['a']);
  });
});
