import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBatch } from '../../src/evaluation/index.js';
import { type Manifest, openStore, pullFile, readManifest } from '../../src/registry/index.js';
import { openEditSession } from '../../src/rounds/index.js';
import { CommandLine } from '../support/command-line.js';

const aldermark = (...parts: string[]): string => join(import.meta.dirname, '../../examples/aldermark', ...parts);
const batches = [1, 2, 3].map((round) => aldermark(`batches/round-${round}.jsonl`));
const modelId = 'aldermark';

let folder: string;
let commandLine: CommandLine;

/** The three bundled batches: by the workflow, and by an edit session in this process. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hookline-one-path-'));
  commandLine = new CommandLine();
  const place = { modelId, corpusPath: aldermark('corpus.txt'), heldOut: aldermark('heldout.txt') };
  const { exitCode, errors } = await commandLine.run([
    'run',
    '--batch',
    ...batches,
    '--model',
    aldermark('model'),
    '--model-id',
    modelId,
    '--corpus',
    place.corpusPath,
    '--held-out',
    place.heldOut,
    '--store',
    join(folder, 'workflow'),
    '--device',
    'cpu',
  ]);
  expect({ exitCode, errors }).toMatchObject({ exitCode: 0 });
  const session = await openEditSession({
    ...place,
    store: join(folder, 'session'),
    modelDirectory: aldermark('model'),
  });
  const edits = await Promise.all(batches.map(async (path) => (await readBatch(path)).edits));
  for await (const { outcome } of session.edit(edits)) expect(outcome).toBe('published');
  await session.close();
});
afterAll(() => {
  commandLine.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** What two runs of the same edits need not share: names, times, and the states that are named by times. */
function withoutRun({ createdAt, publishedBy, base, metrics, files, ...manifest }: Manifest) {
  const { secondsForValues, secondsForSolve, ...measured } = metrics as Record<string, unknown>;
  return {
    ...manifest,
    base: base && { version: base.version },
    metrics: measured,
    // A report tells times too.
    files: files.map(({ role, key, sha256 }) => (role === 'report' ? { role, key } : { role, key, sha256 })),
  };
}

/** The words of a report without its times: text between tags, numbers with a unit of time left out. */
function wordsOf(report: string): string {
  return report
    .replace(/<script[\s\S]*?<\/script>|<style[\s\S]*?<\/style>|<svg[\s\S]*?<\/svg>/g, '')
    .replace(/<[^>]+>/g, '\n')
    .replace(/\d{4}-\d\d-\d\d[T ][\d:.]+Z?/g, '<time>')
    .replace(/\d+(\.\d+)?(?=\s?s\b)/g, '<seconds>');
}

describe('the three bundled batches', () => {
  it.each([1, 2, 3])('become the same version %i by the workflow and in one process', async (version) => {
    const [workflow, session] = ['workflow', 'session'].map((name) => openStore(join(folder, name)));
    const [ofWorkflow, ofSession] = await Promise.all(
      [workflow, session].map((store) => readManifest(store, modelId, version)),
    );
    expect(withoutRun(ofSession)).toEqual(withoutRun(ofWorkflow));
    const reports = await Promise.all(
      [
        { store: workflow, manifest: ofWorkflow },
        { store: session, manifest: ofSession },
      ].map(async ({ store, manifest }) => {
        const file = manifest.files.find(({ role }) => role === 'report')!;
        return wordsOf(new TextDecoder().decode(await pullFile(store, modelId, file)));
      }),
    );
    expect(reports[0]).toMatch(/reliability/i);
    expect(reports[1]).toBe(reports[0]);
  });

  it('lose the edit of the third that does not hold, by either way', () => {
    const edits = readFileSync(join(folder, 'session/models/aldermark/versions/000003/edits.jsonl'), 'utf8');
    expect(edits.trim().split('\n')).toHaveLength(19);
  });
});
