import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InboxScan } from '../../../src/local/inbox-scan.js';

let folder: string;
let scan: InboxScan;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hookline-inbox-'));
  mkdirSync(join(folder, 'model'));
  scan = new InboxScan(folder);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, text: string): string => {
  const path = join(folder, 'model', name);
  writeFileSync(path, text);
  return path;
};

describe('a look through the inbox', () => {
  it('finds what nobody was told of, once it no longer changes', async () => {
    const path = write('a.jsonl', 'x');
    expect(await scan.missed()).toEqual([]);
    write('a.jsonl', 'x and more');
    expect(await scan.missed()).toEqual([]);
    expect(await scan.missed()).toEqual([path]);
    await scan.tell(path);
    expect(await scan.missed()).toEqual([]);
    expect(await scan.missed()).toEqual([]);
  });

  it('finds a file of the same name and size again when it is another one', async () => {
    const path = write('a.jsonl', 'x');
    await scan.tell(path);
    rmSync(path);
    expect(await scan.missed()).toEqual([]);
    write('a.jsonl', 'y');
    utimesSync(path, 1, 1);
    await scan.missed();
    expect(await scan.missed()).toEqual([path]);
  });

  it('passes over hidden files, links and folders, and what is gone before it is told of', async () => {
    write('.a.jsonl.part', 'x');
    mkdirSync(join(folder, '.hidden'));
    writeFileSync(join(folder, '.hidden/b.jsonl'), 'x');
    symlinkSync(join(folder, 'nothing'), join(folder, 'model/link.jsonl'));
    await scan.tell(join(folder, 'model/gone.jsonl'));
    await scan.missed();
    expect(await scan.missed()).toEqual([]);
  });
});
