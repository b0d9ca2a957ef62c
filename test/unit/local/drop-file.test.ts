import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { dropFiles } from '../../../src/local/drop-file.js';
import { isPassedOver } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';

const folder = mkdtempSync(join(tmpdir(), 'hookline-drop-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const keysOf = (dropped: readonly { readonly objectKey: string }[]) => dropped.map(({ objectKey }) => objectKey);

describe('files that are submitted', () => {
  it('replace none that waits under their name, and are one if they are equal', async () => {
    const store = new MemoryObjectStore();
    const first = keysOf(await dropFiles(store, 'm', [file('a/edits.jsonl', 'one')]));
    const second = keysOf(await dropFiles(store, 'm', [file('b/edits.jsonl', 'two')]));
    const third = keysOf(await dropFiles(store, 'm', [file('c/edits.jsonl', 'one')]));
    expect(first).toEqual(['incoming/m/edits.jsonl']);
    expect(second).toEqual([expect.stringMatching(/^incoming\/m\/edits\.[0-9a-f]{12}\.jsonl$/)]);
    expect(third).toEqual(first);
    expect(await store.list('incoming/')).toHaveLength(2);
  });

  it('have names in their order, which decides where they arrive in one moment', async () => {
    const paths = Array.from({ length: 11 }, (_, i) => file(`${String.fromCharCode(122 - i)}.jsonl`, `${i}`));
    const keys = keysOf(await dropFiles(new MemoryObjectStore(), 'm', paths));
    expect(keys).toEqual([...keys].sort());
    expect(keys[0]).toBe('incoming/m/01-z.jsonl');
  });

  it.each(['.hidden.jsonl', 'edits.tmp', 'edits.jsonl~', '#edits#'])('named %s are not passed over', async (name) => {
    const [key] = keysOf(await dropFiles(new MemoryObjectStore(), 'm', [file(name, 'a')]));
    expect(isPassedOver(key)).toBe(false);
  });

  it('are refused where they are empty', async () => {
    const path = file('empty.jsonl', '');
    await expect(dropFiles(new MemoryObjectStore(), 'm', [path])).rejects.toThrow(
      'at least one edit, got an empty file',
    );
  });
});
