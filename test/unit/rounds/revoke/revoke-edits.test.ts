import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { replaySegments } from '../../../../src/editing/index.js';
import { InvalidInputError, StaleBaseError } from '../../../../src/errors.js';
import { PlainGemmEngine } from '../../../../src/linalg/index.js';
import { latest, memoryOf, type ObjectStore, pull, pullFile, rollback } from '../../../../src/registry/index.js';
import { versionMetricsSchema } from '../../../../src/rounds/records.js';
import { removingSegment } from '../../../../src/rounds/removing-segment.js';
import { type Revocation, type RevokeEditsRequest, revokeEdits } from '../../../../src/rounds/revoke/revoke-edits.js';
import { type EditSession, openEditSession } from '../../../../src/rounds/session/edit-session.js';
import { type HookableModel, loadVersionHooks, type VersionHooks } from '../../../../src/serving/index.js';
import { BundledModel } from '../../../support/bundled-model.js';
import { intercepted } from '../../../support/faulty-object-store.js';
import { expectSameState } from '../../../support/same-state.js';

let bundled: BundledModel;
let session: EditSession;
let edited: HookableModel;
let before: VersionHooks;
let done: Revocation;
let after: VersionHooks;

/** Version 1 holds four edits; version 2 overwrites the first of them and adds one. */
beforeAll(async () => {
  bundled = await BundledModel.open(5);
  const { store, modelId, edits } = bundled;
  session = await openEditSession({
    ...bundled,
    heldOut: [],
    settings: { layers: [0], learningRate: 1, contextTokens: 4 },
  });
  edited = await session.bench.edited();
  const again = { ...edits[0], id: 'again', targetNew: edits[1].targetNew };
  const rounds = session.edit([edits.slice(0, 4), [again, edits[4]]]);
  for await (const { version } of rounds) expect(version).toBeLessThan(3);
  before = await loadVersionHooks(store, modelId);
  done = await revoke({ ids: ['again', edits[2].id] }, { heldOut: bundled.heldOut });
  after = await loadVersionHooks(store, modelId);
});
afterAll(() => session.close());

function revoke(selection: Partial<RevokeEditsRequest['selection']>, more: Partial<RevokeEditsRequest> = {}) {
  const { store, modelId, tokenizer } = bundled;
  return revokeEdits({
    store,
    modelId,
    subject: { edited, tokenizer },
    selection: { ids: [], ...selection },
    heldOut: [],
    tolerance: 0,
    force: false,
    publishedBy: `revoke by tester (${crypto.randomUUID()})`,
    ...more,
  });
}

/** Ids of the edits that the rows say. */
const saidBy = ({ rowEdits }: VersionHooks) => [...new Set(rowEdits.flatMap(({ editIds }) => editIds))];

const promptOf = ({ prompt, subject }: { prompt: string; subject: string }) => prompt.replace('{}', () => subject);

/** Logits of the edits' prompts. */
function logitsOf(edits: readonly { prompt: string; subject: string }[], hooks?: VersionHooks['hooks']) {
  const sequences = edits.map((edit) => bundled.tokenizer.encode(promptOf(edit)).ids);
  return edited.logits(sequences, hooks);
}

describe('a revocation', () => {
  it('is a version of its own, on top of the latest, that says which edits are gone', () => {
    const { manifest } = after;
    expect(manifest).toMatchObject({ version: 3, parent: 2 });
    expect(manifest.publishedBy).toMatch(/^revoke by tester \([0-9a-f-]{36}\)$/);
    const [first, second, third, fourth, fifth] = bundled.edits.map(({ id }) => id);
    expect(manifest.edits.map(({ id, version, status }) => [id, version, status])).toEqual([
      [first, 1, 'overwritten'],
      [second, 1, 'active'],
      [third, 1, 'revoked'],
      [fourth, 1, 'active'],
      ['again', 2, 'revoked'],
      [fifth, 2, 'active'],
    ]);
    expect(saidBy(after)).toEqual([second, fourth, fifth]);
  });

  it('gives consumers the state that was measured, without anything optimised', async () => {
    const gone = ['again', bundled.edits[2].id];
    const removed = before.manifest.edits.filter(({ id }) => gone.includes(id)).map(memoryOf);
    const segment = removingSegment(before.state, removed);
    expectSameState(after.state, await replaySegments(before.state, [segment], new PlainGemmEngine()));
    const [own] = after.manifest.files.filter(({ role }) => role === 'hooks');
    expect(own.sizeBytes).toBeLessThan(4096);
    expect(done.measures.kept.map(({ after: measured }) => measured.reliability)).toEqual([1, 1, 1]);
  });

  it('lets the base model answer on the prompts of what is gone, bit for bit', async () => {
    const gone = [bundled.edits[0], bundled.edits[2]];
    const [was, is, base] = [
      await logitsOf(gone, before.hooks),
      await logitsOf(gone, after.hooks),
      await logitsOf(gone),
    ];
    expect(is).toEqual(base);
    expect(was).not.toEqual(base);
    for (const { before: old, after: now, agreement, texts, firedBy } of done.measures.revoked) {
      expect([old.reliability, now.reliability, firedBy]).toEqual([1, 0, null]);
      expect(new Set(agreement)).toEqual(new Set([1]));
      expect(texts.after).toBe(texts.base);
      expect(texts.before).not.toBe(texts.after);
    }
  });

  it('writes down what it did to the others', async () => {
    const { modelId, store } = bundled;
    const metrics = versionMetricsSchema.parse(after.manifest.metrics);
    expect(metrics).toMatchObject({ measured: 3, reliability: 1, retention: 1, secondsForValues: 0 });
    expect(metrics.perplexityRatio).toBeCloseTo(1, 1);
    expect(metrics.revocation).toMatchObject({
      edits: 2,
      reliability: { before: 1, after: 0 },
      baseAgreement: 1,
      forced: false,
      others: { reliability: { before: 1, after: 1, fallen: 0, largestFall: 0 } },
    });
    const reports = after.manifest.files.filter(({ role }) => role === 'report');
    const page = new TextDecoder().decode(await pullFile(store, modelId, reports[0]));
    expect(page).toContain('Revoked edits');
    expect(page).toContain(`Edit again had overwritten edit ${bundled.edits[0].id}`);
  });

  it('does not bring back what a revoked edit had overwritten, and says so', async () => {
    const { id, targetNew } = bundled.edits[0];
    expect(done.notRestored).toMatchObject([{ revokedId: 'again', earlier: { id, targetNew } }]);
    expect(done.measures.revoked.find(({ edit }) => edit.id === 'again')!.texts.after).not.toContain(targetNew);
  });

  it('is undone by a rollback', async () => {
    const { store, modelId } = bundled;
    await rollback(store, modelId, 2, 'tester');
    expect((await loadVersionHooks(store, modelId)).state).toEqual(before.state);
    await rollback(store, modelId, 3, 'tester');
    expect((await latest(store, modelId))!.version).toBe(3);
  });
});

describe('a revocation that must not be', () => {
  it('publishes nothing', async () => {
    await expect(revoke({ ids: ['again', 'nobody'] })).rejects.toThrow(
      'again, which is revoked already; nobody, which is unknown',
    );
    // No edit fell: less than nothing is tolerated, so that each of them is one too many.
    const strict = revoke({ ids: [bundled.edits[1].id] }, { tolerance: -1 });
    await expect(strict).rejects.toThrow(InvalidInputError);
    await expect(strict).rejects.toThrow(
      `${bundled.edits[3].id} from 1 to 1, ${bundled.edits[4].id} from 1 to 1; nothing was published`,
    );
    await expect(revoke({ ids: ['x'] }, { modelId: 'other' })).rejects.toThrow('a published version, got none');
    expect((await latest(bundled.store, bundled.modelId))!.version).toBe(3);
  });
});

describe('a revocation while somebody else publishes', () => {
  it('begins again on what is there then, and both are in force', async () => {
    const [, second, , fourth] = bundled.edits.map(({ id }) => id);
    let others: Revocation | undefined;
    const store: ObjectStore = intercepted(bundled.store, async (carryOut, operation, key) => {
      if (operation === 'put' && key.endsWith('latest.json')) {
        others ??= await revoke({ ids: [fourth] }, { tolerance: -1, force: true });
      }
      return carryOut();
    });
    const mine = await revoke({ ids: [second] }, { store });
    expect([others!.base, others!.published.version]).toEqual([3, 5]);
    expect([mine.base, mine.published.version]).toEqual([5, 6]);
    const version = await loadVersionHooks(bundled.store, bundled.modelId);
    const { manifest } = version;
    expect(saidBy(version)).toEqual([bundled.edits[4].id]);
    expect(manifest.edits.filter(({ status }) => status === 'revoked')).toHaveLength(4);
    expect(others!.published.manifest.metrics).toMatchObject({ revocation: { forced: true } });
  });

  it('gives up in the end', async () => {
    const versions = [5, 6];
    const store: ObjectStore = intercepted(bundled.store, async (carryOut, operation, key) => {
      if (operation === 'put' && key.endsWith('latest.json')) {
        versions.reverse();
        await rollback(bundled.store, bundled.modelId, versions[1], 'another');
      }
      return carryOut();
    });
    await expect(revoke({ ids: [bundled.edits[4].id] }, { store })).rejects.toThrow(StaleBaseError);
    await rollback(bundled.store, bundled.modelId, 6, 'tester');
  });
});

describe('a revocation of all edits', () => {
  it('leaves the base model, bit for bit, and its next round begins on that', async () => {
    const { store, modelId, edits } = bundled;
    const { measures } = await session.revoke({ ids: [edits[4].id] });
    expect(measures).toMatchObject({ kept: [], drift: null });
    const empty = await loadVersionHooks(store, modelId);
    expect(saidBy(empty)).toEqual([]);
    expect(await logitsOf(edits, empty.hooks)).toEqual(await logitsOf(edits));
    const { manifest, files } = await pull(store, modelId);
    expect(manifest.gate.thresholds).toMatchObject({ 0: { smallestSimilarity: null } });
    expect(manifest.metrics).toMatchObject({ measured: 0, reliability: null, revocation: { edits: 1 } });
    expect(files.size).toBe(manifest.segments.length + 2);
    const [again] = edits;
    const { value } = await session.edit([[again]]).next();
    const next = value!.manifest!;
    expect(value!.metrics.reliability).toBe(1);
    expect(next.edits.at(-1)).toMatchObject({ id: again.id, status: 'active' });
    expect(next.edits.at(-1)).not.toHaveProperty('overwrites');
    expect(saidBy(await loadVersionHooks(store, modelId))).toEqual([again.id]);
  });
});

describe('a revocation of one of two facts of a subject', () => {
  it('finds one value for the other, and none where the fact is written again', async () => {
    const fresh = await BundledModel.open(3);
    const { store, modelId } = fresh;
    const settings = { layers: [0], learningRate: 1, contextTokens: 4 };
    const own = await openEditSession({ ...fresh, heldOut: [], settings });
    const [first, , other] = fresh.edits;
    const second = { ...fresh.edits[1], id: 'second', subject: first.subject, testParaphrases: [], neighborhood: [] };
    const values = async () => (await store.list(`models/${modelId}/values/`)).length;
    await own.edit([[first, second, other]]).next();
    const both = await loadVersionHooks(store, modelId);
    expect(await values()).toBe(2);

    const { measures, published } = await own.revoke({ ids: ['second'] });
    expect(await values()).toBe(3);
    expect(published.manifest.edits.map(({ id, status }) => `${id} ${status}`)).toEqual([
      `${first.id} active`,
      'second revoked',
      `${other.id} active`,
    ]);
    expect(measures.kept.map(({ edit, after: { reliability } }) => [edit.id, reliability])).toEqual([
      [first.id, 1],
      [other.id, 1],
    ]);
    const [gone] = measures.revoked;
    expect([gone.before.reliability, gone.after.reliability]).toEqual([1, 0]);
    expect(gone.texts.after).not.toContain(second.targetNew);
    const left = await loadVersionHooks(store, modelId);
    const rowsOf = ({ state }: VersionHooks, version: VersionHooks, id: string) => {
      const { memory } = version.manifest.edits.find((edit) => edit.id === id)!;
      return state.rowIds.filter((rowId) => rowId === memory).length;
    };
    expect(rowsOf(left, both, 'second')).toBe(0);
    expect(rowsOf(left, left, first.id)).toBeGreaterThan(0);
    expect(left.manifest.edits[2].memory).toBe(both.manifest.edits[2].memory);

    const { value } = await own.edit([[second]]).next();
    expect(value).toMatchObject({ outcome: 'published', metrics: { reliability: 1, retention: 1 } });
    expect(await values()).toBe(3);
    const again = await loadVersionHooks(store, modelId);
    expect([...new Set(again.state.rowIds)].sort()).toEqual([...new Set(both.state.rowIds)].sort());
    expect(value!.measures.companions).toMatchObject([{ version: 1, id: first.id, reliability: 1 }]);
    await own.close();
  });
});
