import { beforeEach, describe, expect, it } from 'vitest';
import { type Edit, hyperparametersSchema } from '../../../src/editing/index.js';
import { completeEdit, type EditInput } from '../../../src/evaluation/index.js';
import { latest, type Manifest, type ObjectStore } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { type PublishVersionRequest, publishVersion } from '../../../src/rounds/publish-version.js';
import type { VersionMetrics } from '../../../src/rounds/records.js';
import { earlierFacts, memoriesIn, subjectsLeft, subjectsOf, writtenFacts } from '../../../src/rounds/subjects.js';

const modelId = 'm';
const edit = (id: string, more: Partial<EditInput> = {}): Edit =>
  completeEdit({ id, subject: 'Ada', prompt: `{} ${id}`, targetNew: 'Oslo', ...more });

let store: ObjectStore;
beforeEach(() => {
  store = new MemoryObjectStore();
});

type Published = Pick<PublishVersionRequest, 'edits' | 'memories' | 'removedIds' | 'removedStatus'>;

async function publish(more: Published & Partial<Pick<PublishVersionRequest, 'answers'>>) {
  const base = await latest(store, modelId);
  const { manifest } = await publishVersion({
    answers: [],
    ...more,
    store,
    modelId,
    modelDigest: 'a'.repeat(64),
    dModel: 8,
    dInner: 16,
    settings: hyperparametersSchema.parse({ layers: [0] }),
    thresholds: { 0: { smallestSimilarity: null, sequence: 2 } },
    statisticsDigests: {},
    hooks: new Uint8Array([base?.version ?? 0]),
    report: '',
    metrics: {} as VersionMetrics,
    publishedBy: 'a test',
    base: base && { ref: { version: base.version, etag: base.etag }, manifest: base.manifest },
  });
  return manifest;
}

/** What a round of these edits publishes, if all of them can be written. */
async function writeRound(...edits: readonly Edit[]): Promise<Manifest> {
  const base = await latest(store, modelId);
  const subjects = subjectsOf({ earlier: await earlierFacts(store, base?.manifest, edits) }, edits);
  const removedIds = [...new Set(subjects.flatMap(({ replaces }) => replaces))];
  return publish({ edits, memories: memoriesIn(subjects), removedIds });
}

/** What a revocation of these edits publishes. */
async function revoke(...ids: readonly string[]): Promise<Manifest> {
  const { manifest } = (await latest(store, modelId))!;
  const active = manifest.edits.filter(({ status }) => status === 'active');
  const removedIds = [...new Set(active.filter(({ id }) => ids.includes(id)).map(({ memory }) => memory!))];
  const left = active.filter(({ id, memory }) => removedIds.includes(memory!) && !ids.includes(id));
  const memories = memoriesIn(subjectsLeft(await writtenFacts(store, manifest, left)));
  return publish({ edits: [], memories, removedIds, removedStatus: 'revoked' });
}

const saidOf = ({ edits }: Manifest) => edits.map(({ id, said, inChat }) => [id, said, inChat]);
const toldOf = ({ edits }: Manifest) => edits.map(({ id, version, status }) => `${id} ${version} ${status}`);
const memoriesOf = ({ edits }: Manifest) => edits.map(({ memory }) => memory!);

describe('the manifest of a round', () => {
  it('gives all facts of a subject in a batch one memory, and another subject its own', async () => {
    const manifest = await writeRound(edit('a'), edit('b', { aliases: ['Countess'] }), edit('c', { subject: 'Bob' }));
    const [a, b, c] = memoriesOf(manifest);
    expect(a).toMatch(/^m-[0-9a-f]{16}$/);
    expect([b, c]).toEqual([a, expect.stringMatching(/^m-[0-9a-f]{16}$/)]);
    expect(c).not.toBe(a);
    expect(manifest.edits.map(({ aliases }) => aliases)).toEqual([undefined, ['Countess'], undefined]);
  });

  it('moves earlier facts of a subject to the memory that a further fact of it makes, and no others', async () => {
    const first = await writeRound(edit('a'), edit('b'), edit('c', { subject: 'Bob' }));
    const second = await writeRound(edit('d'));
    expect(toldOf(second)).toEqual(['a 1 active', 'b 1 active', 'c 1 active', 'd 2 active']);
    const [a, b, c, d] = memoriesOf(second);
    expect([a, b]).toEqual([d, d]);
    expect(memoriesOf(first)).not.toContain(d);
    expect(c).toBe(memoriesOf(first)[2]);
    const { memory: _, ...unmoved } = second.edits[0];
    const { memory: __, ...before } = first.edits[0];
    expect(unmoved).toEqual(before);
  });

  it('says what was overwritten and by what, and moves the rest of the subject', async () => {
    const first = await writeRound(edit('a'), edit('b'));
    const second = await writeRound(edit('new', { prompt: '{} a', targetNew: 'Rome' }));
    expect(toldOf(second)).toEqual(['a 1 overwritten', 'b 1 active', 'new 2 active']);
    expect(second.edits[2]).toMatchObject({ overwrites: 'a' });
    const [a, b, created] = memoriesOf(second);
    expect([a, b]).toEqual([memoriesOf(first)[0], created]);
    expect(created).not.toBe(a);
  });

  it('of the same edit once more has one that is active', async () => {
    await writeRound(edit('a'));
    const second = await writeRound(edit('a'));
    expect(toldOf(second)).toEqual(['a 1 overwritten', 'a 2 active']);
    expect(new Set(memoriesOf(second)).size).toBe(1);
  });

  it('leaves the facts of a subject alone of which nothing was written', async () => {
    const first = await writeRound(edit('a'));
    const second = await publish({ edits: [], memories: [], removedIds: [] });
    expect(second.edits).toEqual(first.edits);
  });

  it('joins the memories of two subjects that a new alias makes one', async () => {
    await writeRound(edit('a'), edit('c', { subject: 'Bob' }));
    const second = await writeRound(edit('new', { subject: 'Countess', aliases: ['bob', 'ada'] }));
    expect(toldOf(second)).toEqual(['a 1 active', 'c 1 active', 'new 2 active']);
    expect(new Set(memoriesOf(second)).size).toBe(1);
  });
});

describe('the manifest of a revocation', () => {
  it('has what is left of the subject under another memory, and under its old one when it is written again', async () => {
    await writeRound(edit('a'));
    const both = await writeRound(edit('b'));
    const left = await revoke('b');
    expect(toldOf(left)).toEqual(['a 1 active', 'b 2 revoked']);
    expect(memoriesOf(left)[0]).not.toBe(memoriesOf(both)[0]);
    const again = await writeRound(edit('b'));
    expect(toldOf(again)).toEqual(['a 1 active', 'b 2 revoked', 'b 4 active']);
    expect(again.edits[2]).not.toHaveProperty('overwrites');
    expect([memoriesOf(again)[0], memoriesOf(again)[2]]).toEqual([memoriesOf(both)[0], memoriesOf(both)[0]]);
  });

  it('of all facts of a subject leaves none of it', async () => {
    await writeRound(edit('a'), edit('b'), edit('c', { subject: 'Bob' }));
    expect(toldOf(await revoke('a', 'b'))).toEqual(['a 1 revoked', 'b 1 revoked', 'c 1 active']);
  });
});

describe('earlier facts', () => {
  it('are read with all that they were written with', async () => {
    const first = edit('a', {
      aliases: ['Countess'],
      paraphrases: ['{} is at'],
      keep: ['{} is'],
      testParaphrases: ['x'],
    });
    const manifest = await writeRound(first, edit('c', { subject: 'Bob' }));
    const [{ memory }] = manifest.edits;
    const byAlias = edit('new', { subject: 'countess' });
    expect(await earlierFacts(store, manifest, [byAlias])).toEqual([{ version: 1, memory, edit: first }]);
    expect(await earlierFacts(store, manifest, [edit('new', { subject: 'Dora' })])).toEqual([]);
    expect(await earlierFacts(store, undefined, [byAlias])).toEqual([]);
  });

  it('are those too that share a memory with them, and not those that are gone', async () => {
    await writeRound(edit('a'), edit('b'));
    const { edits, ...manifest } = await writeRound(edit('new', { prompt: '{} a', targetNew: 'Rome' }));
    // Release 0.1 could give facts of two subjects one id, and so one memory.
    const shared = edits.map((of) => (of.id === 'b' ? { ...of, subject: 'Bob' } : of));
    const found = await earlierFacts(store, { ...manifest, edits: shared }, [edit('more')]);
    expect(found.map(({ edit: { id } }) => id)).toEqual(['b', 'new']);
  });
});

it('holds of every edit what was said when it was measured last', async () => {
  const [a, b] = [edit('a'), edit('b', { subject: 'Bob' })];
  const write = (edits: readonly Edit[], answers: PublishVersionRequest['answers']) =>
    publish({ edits, answers, memories: memoriesIn(subjectsOf({}, edits)), removedIds: [] });
  const chat = { text: 'Oslo!', hasTarget: true };
  const first = await write([a], [{ id: 'a', said: true, chat }]);
  expect(saidOf(first)).toEqual([['a', true, true]]);
  const second = await write(
    [b],
    [
      { id: 'b', said: false },
      { id: 'a', version: 1, said: false },
    ],
  );
  expect(saidOf(second)).toEqual([
    ['a', false, true],
    ['b', false, undefined],
  ]);
  expect((await earlierFacts(store, second, [edit('c', { subject: 'Bob' })])).map(({ said }) => said)).toEqual([false]);
});
