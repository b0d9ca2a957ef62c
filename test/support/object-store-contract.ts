import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { ConflictError, InvalidInputError, NoSuchKeyError, PreconditionFailedError } from '../../src/errors.js';
import type { ObjectStore } from '../../src/registry/index.js';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Keys that no store may accept. */
export const badKeys = [
  '',
  '/',
  '/a',
  'a/',
  'a//b',
  '.',
  '..',
  '../a',
  'a/../b',
  'a/..',
  './a',
  'a/./b',
  'a\\b',
  '..\\a',
  'a\0b',
  'a\nb',
  '\ud800',
  '.hookline/locks/a',
  '.HOOKLINE/a',
  'x'.repeat(256),
  'é'.repeat(513),
  `${'a/'.repeat(512)}b`,
];

/**
 * What every object store promises, run over one adapter.
 * @param open an empty store, each time
 */
export function describeObjectStoreContract(name: string, open: () => Promise<ObjectStore>): void {
  describe(`the object store contract over ${name}`, () => {
    let store: ObjectStore;
    beforeEach(async () => {
      store = await open();
    });

    describeReadsAndWrites(() => store);
    describeConditions(() => store);
    describeRaces(() => store);
    describeArrivals(() => store);
    describeLists(() => store);
    describeKeys(() => store);
  });
}

function describeReadsAndWrites(store: () => ObjectStore): void {
  it('returns the bytes and the ETag that were written', async () => {
    const { etag } = await store().put('models/a/latest.json', bytesOf('one'));
    expect(etag).toMatch(/^".+"$/);
    expect(await store().head('models/a/latest.json')).toEqual({ etag, sizeBytes: 3 });
    const object = await store().get('models/a/latest.json');
    expect(textOf(object.bytes)).toBe('one');
    expect(object.etag).toBe(etag);
  });

  it('holds an empty object and one of every byte value', async () => {
    const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index);
    await store().put('empty', new Uint8Array());
    await store().put('bytes', everyByte);
    expect((await store().get('empty')).bytes).toEqual(new Uint8Array());
    expect((await store().get('bytes')).bytes).toEqual(everyByte);
    expect((await store().head('empty'))?.sizeBytes).toBe(0);
  });

  it('writes only the view of a larger buffer that it was given', async () => {
    await store().put('view', bytesOf('abcdef').subarray(2, 4));
    expect(textOf((await store().get('view')).bytes)).toBe('cd');
  });

  it('says NoSuchKey for get and undefined for head where nothing is', async () => {
    await expect(store().get('a/b')).rejects.toThrow(NoSuchKeyError);
    expect(await store().head('a/b')).toBeUndefined();
    await store().put('a/b/c', bytesOf('x'));
    await expect(store().get('a/b')).rejects.toThrow(NoSuchKeyError);
    await expect(store().get('a/b/c/d')).rejects.toThrow(NoSuchKeyError);
    expect(await store().head('a')).toBeUndefined();
  });

  it('replaces an object without a condition, and its ETag changes with the content', async () => {
    const first = await store().put('a', bytesOf('one'));
    const second = await store().put('a', bytesOf('two'));
    expect(second.etag).not.toBe(first.etag);
    expect(textOf((await store().get('a')).bytes)).toBe('two');
  });

  it('sends an object again only where it changed', async () => {
    const { etag } = await store().put('a', bytesOf('one'));
    expect(await store().getIfChanged('a', etag)).toBeUndefined();
    const changed = await store().put('a', bytesOf('two'));
    expect(await store().getIfChanged('a', etag)).toEqual({ bytes: bytesOf('two'), etag: changed.etag });
    await store().delete('a');
    await expect(store().getIfChanged('a', changed.etag)).rejects.toThrow(NoSuchKeyError);
  });

  it('shares no memory with its callers', async () => {
    const bytes = bytesOf('one');
    await store().put('a', bytes);
    bytes.fill(0);
    (await store().get('a')).bytes.fill(0);
    expect(textOf((await store().get('a')).bytes)).toBe('one');
  });

  it('deletes an object, and takes a missing one for deleted', async () => {
    await store().put('a/b', bytesOf('x'));
    await store().delete('a/b');
    await store().delete('a/b');
    await store().delete('never/was');
    expect(await store().head('a/b')).toBeUndefined();
    expect(await store().list('')).toEqual([]);
    await store().put('a/b', bytesOf('y'), { ifNoneMatch: '*' });
  });
}

function describeArrivals(store: () => ObjectStore): void {
  it('tells what arrived in its order, and of every change of an object', async () => {
    await store().put('incoming/m/b', bytesOf('first'));
    // S3 tells times in seconds.
    await sleep(1100);
    await store().put('incoming/m/a', bytesOf('second one'));
    const arrivals = await store().arrivals('incoming/');
    expect(arrivals.map(({ key, sizeBytes, problem }) => [key, sizeBytes, problem])).toEqual([
      ['incoming/m/b', 5, undefined],
      ['incoming/m/a', 10, undefined],
    ]);
    await sleep(1100);
    await store().put('incoming/m/b', bytesOf('other'));
    const [, again] = await store().arrivals('incoming/m/');
    expect(again.key).toBe('incoming/m/b');
    expect(again.stamp).not.toBe(arrivals[0].stamp);
    expect(await store().arrivals('incoming/n/')).toEqual([]);
    expect(await store().dropLateWrites()).toEqual([]);
  });
}

function describeConditions(store: () => ObjectStore): void {
  it('creates with ifNoneMatch only where nothing is', async () => {
    await store().put('a', bytesOf('one'), { ifNoneMatch: '*' });
    await expect(store().put('a', bytesOf('two'), { ifNoneMatch: '*' })).rejects.toThrow(PreconditionFailedError);
    expect(textOf((await store().get('a')).bytes)).toBe('one');
  });

  it('replaces with ifMatch only the content of that ETag', async () => {
    const first = await store().put('a', bytesOf('one'));
    const second = await store().put('a', bytesOf('two'), { ifMatch: first.etag });
    await expect(store().put('a', bytesOf('three'), { ifMatch: first.etag })).rejects.toThrow(PreconditionFailedError);
    expect(await store().get('a')).toEqual({ bytes: bytesOf('two'), etag: second.etag });
  });

  it('does not create with ifMatch, not even after a delete', async () => {
    await expect(store().put('a', bytesOf('x'), { ifMatch: '"0"' })).rejects.toThrow(PreconditionFailedError);
    const { etag } = await store().put('a', bytesOf('x'));
    await store().delete('a');
    await expect(store().put('a', bytesOf('y'), { ifMatch: etag })).rejects.toThrow(PreconditionFailedError);
    expect(await store().head('a')).toBeUndefined();
  });

  it('deletes with ifMatch only the content of that ETag', async () => {
    const first = await store().put('a/b', bytesOf('one'));
    const second = await store().put('a/b', bytesOf('two'));
    await expect(store().delete('a/b', { ifMatch: first.etag })).rejects.toThrow(PreconditionFailedError);
    expect(await store().get('a/b')).toEqual({ bytes: bytesOf('two'), etag: second.etag });
    await store().delete('a/b', { ifMatch: second.etag });
    expect(await store().head('a/b')).toBeUndefined();
    await store().delete('a/b', { ifMatch: second.etag });
    await store().delete('never/was', { ifMatch: second.etag });
  });

  it('refuses both conditions at once', async () => {
    await expect(store().put('a', bytesOf('x'), { ifMatch: '"0"', ifNoneMatch: '*' })).rejects.toThrow(
      InvalidInputError,
    );
  });
}

function describeRaces(store: () => ObjectStore): void {
  it('lets exactly one of 20 concurrent creations win', async () => {
    const attempts = Array.from({ length: 20 }, (_, index) =>
      store().put('race', bytesOf(`writer ${index}`), { ifNoneMatch: '*' }),
    );
    const outcomes = await Promise.allSettled(attempts);
    const winners = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [index] : []));
    expect(winners).toHaveLength(1);
    expect(textOf((await store().get('race')).bytes)).toBe(`writer ${winners[0]}`);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(isRefusal(outcome.reason)).toBe(true);
    }
  });

  it('tells exactly one of 20 writers that it wrote, though all write the same', async () => {
    const create = () => store().put('same', bytesOf('same'), { ifNoneMatch: '*' });
    const created = await Promise.allSettled(Array.from({ length: 20 }, create));
    const etag = (await store().head('same'))!.etag;
    const swap = () => store().put('same', bytesOf('other'), { ifMatch: etag });
    const swapped = await Promise.allSettled(Array.from({ length: 20 }, swap));
    for (const outcomes of [created, swapped]) {
      const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
      expect(reasons).toHaveLength(19);
      expect(reasons.every(isRefusal)).toBe(true);
    }
  });

  it('removes by compare-and-delete only what was read, whatever is written meanwhile', async () => {
    const writes = 20;
    const taken: string[] = [];
    const writer = async () => {
      for (let index = 0; index < writes; index++) await store().put('inbox', bytesOf(`${index}`));
    };
    const taker = async () => {
      for (let turn = 0; turn < writes; turn++) {
        const found = await store()
          .get('inbox')
          .catch((error: unknown) => {
            if (!(error instanceof NoSuchKeyError)) throw error;
          });
        if (found === undefined) continue;
        try {
          await store().delete('inbox', { ifMatch: found.etag });
          taken.push(textOf(found.bytes));
        } catch (error) {
          if (!isRefusal(error)) throw error;
        }
      }
    };
    await Promise.all([writer(), taker()]);
    const left = await store().head('inbox');
    if (left !== undefined) taken.push(textOf((await store().get('inbox')).bytes));
    expect(taken).toContain(`${writes - 1}`);
    expect(new Set(taken).size).toBe(taken.length);
  });

  it('loses none of 40 concurrent increments by compare-and-swap', async () => {
    await store().put('count', bytesOf('0'));
    await Promise.all(Array.from({ length: 8 }, () => incrementTimes(store(), 5)));
    expect(textOf((await store().get('count')).bytes)).toBe('40');
  });
}

const isRefusal = (error: unknown) => error instanceof PreconditionFailedError || error instanceof ConflictError;

async function incrementTimes(store: ObjectStore, times: number): Promise<void> {
  for (let done = 0; done < times; ) {
    const { bytes, etag } = await store.get('count');
    try {
      await store.put('count', bytesOf(String(Number(textOf(bytes)) + 1)), { ifMatch: etag });
      done++;
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
}

function describeLists(store: () => ObjectStore): void {
  it('lists the keys that begin with any string, sorted by their bytes', async () => {
    const keys = ['b/2', 'b/10', 'b-c', 'b.d/e', 'a', 'B', 'é', '\u{1f600}', '\uffee', 'b/2x/y'];
    for (const key of keys) await store().put(key, bytesOf(key));
    const sorted = ['B', 'a', 'b-c', 'b.d/e', 'b/10', 'b/2', 'b/2x/y', 'é', '\uffee', '\u{1f600}'];
    expect(await store().list('')).toEqual(sorted);
    expect(await store().list('b')).toEqual(sorted.filter((key) => key.startsWith('b')));
    expect(await store().list('b/')).toEqual(['b/10', 'b/2', 'b/2x/y']);
    expect(await store().list('b/2')).toEqual(['b/2', 'b/2x/y']);
    expect(await store().list('b/2x/y')).toEqual(['b/2x/y']);
    expect(await store().list('b/2x/y/')).toEqual([]);
    expect(await store().list('nothing/here')).toEqual([]);
  });

  it('lists an empty store as nothing', async () => {
    expect(await store().list('')).toEqual([]);
  });
}

function describeKeys(store: () => ObjectStore): void {
  it.each(
    badKeys.map((key) => [JSON.stringify(key.slice(0, 20)), key]),
  )('refuses the key %s everywhere', async (_, key) => {
    await expect(store().get(key)).rejects.toThrow(InvalidInputError);
    await expect(store().getIfChanged(key, '"0"')).rejects.toThrow(InvalidInputError);
    await expect(store().head(key)).rejects.toThrow(InvalidInputError);
    await expect(store().put(key, bytesOf('x'))).rejects.toThrow(InvalidInputError);
    await expect(store().delete(key)).rejects.toThrow(InvalidInputError);
    expect(await store().list('')).toEqual([]);
  });

  it('refuses to list what lies outside', async () => {
    for (const prefix of ['/', '../', 'a/../', '.hookline/', 'a\\', '\0']) {
      await expect(store().list(prefix)).rejects.toThrow(InvalidInputError);
    }
  });

  it('either refuses a key or gives back under exactly that key what was written', async () => {
    const unit = fc.constantFrom('a', 'B', '.', ' ', '~', 'é', '\u{1f600}', '%', '\\', '\0', '\n', '\ud800', ':', '-');
    const segment = fc.oneof(fc.string({ unit, maxLength: 6 }), fc.constantFrom('..', '.', 'a', 'b'));
    const key = fc.array(segment, { minLength: 1, maxLength: 3 }).map((segments) => `${segments.join('/')}~`);
    await fc.assert(
      fc.asyncProperty(key, async (key) => {
        try {
          await store().put(key, bytesOf(key));
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidInputError);
          return;
        }
        expect(textOf((await store().get(key)).bytes)).toBe(key);
        expect(await store().list(key)).toContain(key);
        await store().delete(key);
        expect(await store().head(key)).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });
}
