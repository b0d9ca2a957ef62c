import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Edit } from '../../src/editing/index.js';
import { readBatch } from '../../src/evaluation/index.js';
import { listVersions, ModelVersions, type ObjectStore, openStore, readManifest } from '../../src/registry/index.js';
import { openEditSession, type RoundOutcome } from '../../src/rounds/index.js';
import { EditedModel } from '../../src/serving/index.js';
import { readPublishedRound } from '../../src/workflow/index.js';
import { findOutcome } from '../../src/workflow/queue/current-round.js';
import { readRegistration } from '../../src/workflow/registration.js';
import { CommandLine } from '../support/command-line.js';

/*
 * `test/golden/store-0.1.0` was written by release 0.1.0: version 1 and 4 by its workflow, which dropped an edit from version
 * 1; versions 2 and 3 by its `hookline edit`, which wrote two facts under the id `fact-1`. The key moment is left out, and the
 * model's directory is named `/models/aldermark`.
 */
const written = join(import.meta.dirname, '../golden/store-0.1.0');
const aldermark = (...parts: string[]): string => join(import.meta.dirname, '../../examples/aldermark', ...parts);
const modelId = 'aldermark';

let folder: string;
let store: ObjectStore;
let edits: readonly Edit[];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hookline-old-store-'));
  store = copyOfStore('store');
  ({ edits } = await readBatch(aldermark('batches/round-1.jsonl')));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function copyOfStore(name: string): ObjectStore {
  cpSync(written, join(folder, name), { recursive: true });
  return openStore(join(folder, name));
}

const statusesOf = async (version: number) =>
  (await readManifest(store, modelId, version)).edits.map(({ id, version: by, status }) => [id, by, status]);

describe('a store that release 0.1.0 wrote', () => {
  it('is read: versions, registration, outcomes and what each round did', async () => {
    const { published, damaged } = await listVersions(store, modelId);
    expect([published.map(({ version }) => version), damaged]).toEqual([[1, 2, 3, 4], []]);
    const { criteria } = await readRegistration(store, modelId);
    expect(criteria).toMatchObject({ maxRepeats: 2, editReliability: 1, maxPerplexityRatio: 1.05 });
    expect(await findOutcome(store, modelId, '95c94aceef83537a')).toMatchObject({ edits: 3, rejected: 1 });
    const { examples, edits: count } = await readPublishedRound(store, modelId, 4);
    expect([count, examples.map(({ after }) => after.trim())]).toEqual([2, ['Ishtul.', 'Sephite.']]);
  });

  it('is served', async () => {
    const pulled = await new ModelVersions({ store, modelId }).pull();
    const served = await EditedModel.load(aldermark('model'), pulled);
    // Two rows of this store are of edits that share an id.
    expect(served.current!.rowEdits.map(({ subject, editIds }) => [subject, ...editIds])).toEqual([
      ['Mabane Lythet', 'r1-03'],
      ['Doskymo Honnix', 'fact-1'],
      ['Praiskuna Gasok', 'fact-1'],
      ['Bearvan Sorkot', 'r1-04'],
      ['Bairkik Vibax', 'r1-05'],
    ]);
    const { text, firings } = await served.complete({ prompt: 'Bairkik Vibax speaks', maxTokens: 4 });
    expect([text.trim(), firings.map(({ subject, editIds }) => [subject, editIds])]).toEqual([
      'Sephite.',
      [['Bairkik Vibax', ['r1-05']]],
    ]);
    await served.dispose();
  });

  it('is edited on; of two facts under one id the one that nobody overwrites stays', async () => {
    const session = await openEditSession({ store, modelId, modelDirectory: aldermark('model') });
    const moved = { ...edits[0], id: 'moved', targetNew: 'Quenfold' };
    const { value } = await session.edit([[moved]]).next();
    expect(value).toMatchObject({ outcome: 'published', version: 5, metrics: { reliability: 1, retention: 1 } });
    expect((await statusesOf(5)).slice(3)).toEqual([
      ['fact-1', 2, 'overwritten'],
      ['fact-1', 3, 'active'],
      ['r1-04', 4, 'active'],
      ['r1-05', 4, 'active'],
      ['moved', 5, 'active'],
    ]);
    // Both had rows under one id. The one that stays is written again, in a memory of its own.
    const { measures, manifest } = value as RoundOutcome;
    expect(measures.companions).toMatchObject([{ version: 3, id: 'fact-1', reliability: 1, answer: { said: true } }]);
    const [overwritten, stays, , , written] = manifest!.edits.slice(3).map(({ memory }) => memory);
    expect(overwritten).toBeUndefined();
    expect(stays).toMatch(/^m-[0-9a-f]{16}$/);
    expect(written).not.toBe(stays);
    const { published } = await session.revoke({ ids: ['r1-03'] });
    expect(published.version).toBe(6);
    expect((await statusesOf(6))[2]).toEqual(['r1-03', 1, 'revoked']);
    await session.close();
  });

  it('is edited on by the workflow, which takes over the registration', async () => {
    copyOfStore('workflow');
    const commandLine = new CommandLine();
    writeFileSync(join(folder, 'one.jsonl'), JSON.stringify({ ...edits[6], id: 'r1-04' }));
    const words = ['run', '--batch', join(folder, 'one.jsonl'), '--model', aldermark('model'), '--model-id', modelId];
    const { exitCode, output, errors } = await commandLine.run([
      ...words,
      '--store',
      join(folder, 'workflow'),
      '--json',
    ]);
    commandLine.remove();
    expect(exitCode).toBe(0);
    const renamed = [{ from: 'r1-04', to: expect.stringMatching(/^r1-04~[0-9a-f]{12}$/) }];
    expect(JSON.parse(output).versions).toMatchObject([
      { version: 5, metrics: { reliability: 1, retention: 1 }, renamed },
    ]);
    expect(errors).toMatch(/^warning: Edit r1-04 is written as r1-04~\w+: another edit bears its id$/m);
  });
});
