import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  executionInputOf,
  type InboxWatcher,
  type ObjectCreatedEvent,
  watchInbox,
} from '../../../src/local/inbox-watcher.js';
import { digestOf } from '../../../src/registry/index.js';

let root: string;
let watcher: InboxWatcher;
let events: ObjectCreatedEvent[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hookline-inbox-'));
  mkdirSync(join(root, 'incoming/tiny'), { recursive: true });
  events = [];
});
afterEach(async () => {
  await watcher.close();
  rmSync(root, { recursive: true, force: true });
});

const watch = async () => {
  watcher = await watchInbox({
    storeRoot: root,
    stableMilliseconds,
    onObject: (event) => events.push(event),
    onError: (error) => {
      throw error;
    },
  });
};
const stableMilliseconds = 150;

/**
 * Writes a file in parts and expects that nobody is told of it in between. Where the machine took longer over a part than a
 * file must be stable, another one is tried.
 * @returns its key
 */
async function writtenSlowly(): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const key = `incoming/tiny/slow-${attempt}.jsonl`;
    let longest = 0;
    let toldOf = false;
    let writtenAt = performance.now();
    for (let part = 0; part < 6; part++) {
      appendFileSync(join(root, key), 'part\n');
      longest = Math.max(longest, performance.now() - writtenAt);
      writtenAt = performance.now();
      await sleep(60);
      toldOf ||= keys().includes(key);
    }
    longest = Math.max(longest, performance.now() - writtenAt);
    if (longest >= stableMilliseconds) continue;
    expect(toldOf).toBe(false);
    return key;
  }
}

const keys = () => events.map((event) => event.detail.object.key);

describe('the watch of the inbox', () => {
  it('tells of files as S3 would, of those that lay there already too, and the rule makes inputs of it', async () => {
    writeFileSync(join(root, 'incoming/tiny/early.jsonl'), 'early');
    await watch();
    mkdirSync(join(root, 'incoming/other/deep'), { recursive: true });
    writeFileSync(join(root, 'incoming/other/deep/late.jsonl'), 'late');
    await expect.poll(keys).toEqual(['incoming/tiny/early.jsonl', 'incoming/other/deep/late.jsonl']);
    expect(events[0]).toMatchObject({
      source: 'aws.s3',
      'detail-type': 'Object Created',
      detail: { object: { size: 5, etag: digestOf('early') } },
    });
    expect(executionInputOf(events[1])).toEqual({
      trigger: 'drop',
      objectKey: 'incoming/other/deep/late.jsonl',
      modelId: '',
    });
  });

  it('takes a file when it is written whole, and no hidden one', async () => {
    await watch();
    writeFileSync(join(root, 'incoming/tiny/.hidden'), 'x');
    const slow = await writtenSlowly();
    await expect.poll(keys).toContain(slow);
    expect(keys().filter((key) => key.includes('hidden'))).toEqual([]);
    const { etag } = events.find((event) => event.detail.object.key === slow)!.detail.object;
    expect(etag).toBe(digestOf('part\n'.repeat(6)));
  });
});
