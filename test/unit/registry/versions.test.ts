import { beforeEach, describe, expect, it } from 'vitest';
import {
  DigestMismatchError,
  InvalidInputError,
  MalformedFileError,
  NoSuchKeyError,
  StaleBaseError,
  TransientError,
} from '../../../src/errors.js';
import {
  diffVersions,
  digestOf,
  latest,
  listVersions,
  type Pointer,
  pointerHistory,
  publish,
  pull,
  readManifest,
  rollback,
} from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import {
  crashingAfter,
  intercepted,
  losingReply,
  repeatingWrites,
  withFaultyWrites,
} from '../../support/faulty-object-store.js';
import { draftEdit, manifestDraft } from '../../support/manifest-draft.js';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function publishRound(
  store: MemoryObjectStore,
  id: string,
  change: Partial<ReturnType<typeof manifestDraft>> = {},
) {
  const current = await latest(store, 'm');
  const edits = [...(current?.manifest.edits ?? []), draftEdit(id)];
  const manifest = { ...manifestDraft(edits, current?.manifest.segments), ...change };
  const base = current ? { version: current.version, etag: current.etag } : null;
  const files = new Map([['hooks.safetensors', bytesOf(`hooks of ${id}`)] as const]);
  return publish(store, 'm', { manifest, files, base, publishedBy: id });
}

async function historyOf(store: MemoryObjectStore): Promise<Pointer[]> {
  const states: Pointer[] = [];
  for await (const { pointer } of pointerHistory(store, 'm')) states.push(pointer);
  return states;
}

let store: MemoryObjectStore;
beforeEach(async () => {
  store = new MemoryObjectStore();
  for (const id of ['one', 'two', 'three']) await publishRound(store, id);
});

describe('latest and listVersions', () => {
  it('say of an unknown model that it has no version', async () => {
    expect(await latest(store, 'other')).toBeUndefined();
    expect(await listVersions(store, 'other')).toEqual({ latest: null, published: [], damaged: [], unpublished: [] });
    await expect(pull(store, 'other')).rejects.toThrow(InvalidInputError);
  });

  it('summarise each version and name the leftovers of publishes that ended half-way', async () => {
    const current = await latest(store, 'm');
    const base = { version: 3, etag: current!.etag };
    const files = new Map([['hooks.safetensors', bytesOf('x')] as const]);
    const request = { manifest: manifestDraft([draftEdit('four')]), files, base, publishedBy: 'four' };
    await expect(publish(crashingAfter(store, 2), 'm', request)).rejects.toThrow();
    const listing = await listVersions(store, 'm');
    expect(listing.latest).toBe(3);
    expect(listing.unpublished).toEqual([4]);
    expect(
      listing.published.map(({ version, parent, isLatest, ownEdits, activeEdits }) => [
        version,
        parent,
        isLatest,
        ownEdits,
        activeEdits,
      ]),
    ).toEqual([
      [1, null, false, 1, 1],
      [2, 1, false, 1, 2],
      [3, 2, true, 1, 3],
    ]);
    expect((await readManifest(store, 'm', 4)).publishedBy).toBe('four');
    await expect(pull(store, 'm', 4)).rejects.toThrow(InvalidInputError);
  });

  it('list all others beside a version that is damaged, and say what is wrong with it', async () => {
    const [first, second] = [1, 2].map((version) => `models/m/versions/00000${version}/manifest.json`);
    await store.put(first, bytesOf('{}'));
    await store.delete(second);
    const { published, damaged, unpublished } = await listVersions(store, 'm');
    expect(published.map(({ version }) => version)).toEqual([3]);
    expect(damaged).toEqual([
      { version: 1, problem: expect.stringContaining(digestOf('{}')) },
      { version: 2, problem: expect.stringContaining(second) },
    ]);
    expect(unpublished).toEqual([]);
  });

  it('tell a store that fails from a version that is damaged', async () => {
    const failing = intercepted(store, async (carryOut, _, key) => {
      if (key.endsWith('manifest.json')) throw new TransientError('reading: an answer, got none');
      return carryOut();
    });
    await expect(listVersions(failing, 'm')).rejects.toThrow(TransientError);
  });
});

describe('pull', () => {
  it('gives any published version with the segments it stands on', async () => {
    const { manifest, files } = await pull(store, 'm', 2);
    expect(manifest.version).toBe(2);
    expect([...files].map(([key, bytes]) => [key, textOf(bytes)])).toEqual([
      ['versions/000001/hooks.safetensors', 'hooks of one'],
      ['versions/000002/hooks.safetensors', 'hooks of two'],
    ]);
    await expect(pull(store, 'm', 9)).rejects.toThrow(InvalidInputError);
  });

  it('refuses a tampered file by name, with both digests', async () => {
    const key = 'models/m/versions/000001/hooks.safetensors';
    await store.put(key, bytesOf('tampered'));
    const error = await pull(store, 'm').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DigestMismatchError);
    expect(error).toMatchObject({ path: key, expected: digestOf('hooks of one'), actual: digestOf('tampered') });
  });

  it('refuses a missing file, and a manifest other than the published one', async () => {
    await store.delete('models/m/versions/000002/hooks.safetensors');
    await expect(pull(store, 'm')).rejects.toThrow(NoSuchKeyError);
    const key = 'models/m/versions/000003/manifest.json';
    const text = textOf((await store.get(key)).bytes);
    await store.put(key, bytesOf(text.replace('"dModel": 8', '"dModel": 9')));
    await expect(latest(store, 'm')).rejects.toThrow(DigestMismatchError);
    await expect(pull(store, 'm', 3)).rejects.toThrow(DigestMismatchError);
    expect((await readManifest(store, 'm', 3)).dModel).toBe(9);
  });

  it('refuses a manifest of another model or version in its place, and a pointer that is none', async () => {
    const { bytes } = await store.get('models/m/versions/000001/manifest.json');
    await store.put('models/m/versions/000002/manifest.json', bytes);
    await expect(readManifest(store, 'm', 2)).rejects.toThrow(MalformedFileError);
    await store.put('models/m/latest.json', bytesOf('{"version":'));
    await expect(latest(store, 'm')).rejects.toThrow(MalformedFileError);
  });
});

describe('rollback', () => {
  it('moves latest back and forth, and records each move', async () => {
    const back = await rollback(store, 'm', 1, 'a person');
    const { manifest: _, ...place } = (await latest(store, 'm'))!;
    expect(back).toEqual({ ...place, damage: [] });
    expect((await pull(store, 'm')).manifest.version).toBe(1);
    await rollback(store, 'm', 3, 'another');
    expect(
      (await historyOf(store)).map(({ sequence, action, version, previous, publishedBy }) => [
        sequence,
        action,
        version,
        previous?.version,
        publishedBy,
      ]),
    ).toEqual([
      [5, 'rollback', 3, 1, 'another'],
      [4, 'rollback', 1, 3, 'a person'],
      [3, 'publish', 3, 2, 'three'],
      [2, 'publish', 2, 1, 'two'],
      [1, 'publish', 1, undefined, 'one'],
    ]);
    expect((await listVersions(store, 'm')).published).toHaveLength(3);
  });

  it('makes a base read before it stale, even when it is moved back to the same version', async () => {
    const before = await latest(store, 'm');
    await rollback(store, 'm', 1, 'a person');
    await rollback(store, 'm', 3, 'a person');
    const base = { version: 3, etag: before!.etag };
    const request = { manifest: manifestDraft([draftEdit('four')]), files: new Map(), base, publishedBy: 'four' };
    await expect(publish(store, 'm', request)).rejects.toThrow(StaleBaseError);
  });

  it('does nothing where latest is that version already', async () => {
    const before = await latest(store, 'm');
    expect(await rollback(store, 'm', 3, 'a person')).toMatchObject({ etag: before!.etag, damage: [] });
    expect(await latest(store, 'm')).toEqual(before);
  });

  it('refuses a version that was never published', async () => {
    await store.put('models/m/versions/000008/hooks.safetensors', bytesOf('left over'));
    for (const version of [8, 9])
      await expect(rollback(store, 'm', version, 'a person')).rejects.toThrow(InvalidInputError);
    await expect(rollback(store, 'other', 1, 'a person')).rejects.toThrow(InvalidInputError);
  });

  it('refuses a version of which something is damaged or missing, naming all of it, unless it is forced', async () => {
    const [own, earlier] = ['000002', '000001'].map((version) => `models/m/versions/${version}/hooks.safetensors`);
    await store.put(own, bytesOf('another content'));
    await store.delete(earlier);
    const refused = rollback(store, 'm', 2, 'a person');
    await expect(refused).rejects.toThrow('version 2 of m: a complete one, or --force, got');
    for (const key of [own, earlier]) await expect(refused).rejects.toThrow(key);
    expect((await latest(store, 'm'))?.version).toBe(3);
    const { damage } = await rollback(store, 'm', 2, 'a person', { force: true });
    expect(damage).toHaveLength(2);
    expect((await latest(store, 'm'))?.version).toBe(2);
  });

  it('can be forced onto a version without a manifest, and away from it', async () => {
    await store.delete('models/m/versions/000002/manifest.json');
    await expect(rollback(store, 'm', 2, 'a person')).rejects.toThrow('present in the store, got nothing');
    const { damage } = await rollback(store, 'm', 2, 'a person', { force: true });
    expect(damage).toEqual([expect.stringContaining('000002/manifest.json')]);
    expect((await rollback(store, 'm', 3, 'a person')).version).toBe(3);
  });

  it('succeeds once when its reply is lost or its write repeated', async () => {
    await expect(rollback(losingReply(store, 1), 'm', 2, 'a person')).rejects.toThrow();
    expect((await rollback(store, 'm', 2, 'a person')).version).toBe(2);
    expect((await rollback(repeatingWrites(store, 'latest.json'), 'm', 1, 'a person')).version).toBe(1);
    expect((await historyOf(store)).map(({ version }) => version)).toEqual([1, 2, 3, 2, 1]);
  });

  it('is stale when somebody publishes meanwhile', async () => {
    const raced = withFaultyWrites(store, async (write, key) => {
      if (key.includes('/log/')) await publishRound(store, 'four');
      return write();
    });
    await expect(rollback(raced, 'm', 1, 'a person')).rejects.toThrow(StaleBaseError);
    expect((await latest(store, 'm'))?.version).toBe(4);
  });
});

describe('diffVersions', () => {
  it('names edits, hyperparameters and metrics that differ', async () => {
    const before = await readManifest(store, 'm', 3);
    const [one, two] = before.edits;
    const edits = [
      { ...one!, status: 'overwritten' as const },
      { ...two!, status: 'revoked' as const },
      draftEdit('four', { overwrites: 'one' }),
    ];
    const hyperparameters = { momentWeight: 0.5, clampNormFactor: 2, gateMargin: [1] };
    const metrics = {
      reliability: 0.95,
      retention: [{ round: 1, reliability: 0.8 }],
      drift: { perplexityRatio: 1.01 },
    };
    const { manifest: after } = await publishRound(store, 'four', { edits, hyperparameters, metrics });
    const diff = diffVersions(before, after);
    expect([diff.before, diff.after]).toEqual([3, 4]);
    expect(diff.edits.added.map(({ id }) => id)).toEqual(['four']);
    expect(diff.edits.removed.map(({ id }) => id)).toEqual(['three']);
    expect(diff.edits.overwritten.map(({ id }) => id)).toEqual(['one']);
    expect(diff.edits.changed).toEqual([{ before: two, after: { ...two, status: 'revoked' } }]);
    expect(diff.hyperparameters).toEqual([
      { name: 'clampNormFactor', before: 4, after: 2 },
      { name: 'gateMargin', before: undefined, after: [1] },
    ]);
    expect(diff.metrics.map(({ name, before, after }) => [name, before, after])).toEqual([
      ['drift.perplexityRatio', undefined, 1.01],
      ['reliability', 0.9, 0.95],
    ]);
    expect(diff.metrics.map(({ delta }) => delta?.toFixed(3))).toEqual([undefined, '0.050']);
  });

  it('finds nothing between a version and itself, and the reverse between the reverse', async () => {
    const [first, third] = [await readManifest(store, 'm', 1), await readManifest(store, 'm', 3)];
    const none = { added: [], removed: [], overwritten: [], changed: [] };
    expect(diffVersions(third, third)).toEqual({ before: 3, after: 3, edits: none, hyperparameters: [], metrics: [] });
    expect(diffVersions(first, third).edits.added).toEqual(diffVersions(third, first).edits.removed);
  });
});
