import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { ConflictError, InvalidInputError, MalformedFileError, TransientError } from '../../../src/errors.js';
import { DirectoryObjectStore } from '../../../src/registry/directory-object-store.js';
import { acquireLease, type ObjectStore, releaseLease } from '../../../src/registry/index.js';
import { leaseKey } from '../../../src/registry/keys.js';
import type { LeaseState } from '../../../src/registry/lease.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { losingReply, repeatingWrites, withFaultyWrites } from '../../support/faulty-object-store.js';

const folder = await mkdtemp(join(tmpdir(), 'hookline-lease-'));
let count = 0;
afterAll(() => rm(folder, { recursive: true }));

const now = () => new Date('2026-01-02T03:04:05Z');
const stores: readonly (readonly [string, () => ObjectStore])[] = [
  ['memory', () => new MemoryObjectStore()],
  ['a directory', () => new DirectoryObjectStore(join(folder, String(count++)))],
];

/** The executions that run. */
class Running {
  readonly owners = new Set<string>();
  readonly isRunning = async (owner: string) => this.owners.has(owner);

  acquire(store: ObjectStore, owner: string): Promise<LeaseState> {
    this.owners.add(owner);
    return acquireLease(store, 'm', { owner, now, isRunning: this.isRunning });
  }
}

const bodyOf = async (store: ObjectStore): Promise<unknown> =>
  JSON.parse(new TextDecoder().decode((await store.get(leaseKey('m'))).bytes));

describe.each(stores)('a lease in %s', (_, open) => {
  let store: ObjectStore;
  let running: Running;
  beforeEach(() => {
    store = open();
    running = new Running();
  });

  it('is taken, kept by its holder, refused to others, released and taken again with the next fence', async () => {
    expect(await running.acquire(store, 'a')).toEqual({ acquired: true, fence: 1, owner: 'a' });
    expect(await bodyOf(store)).toEqual({ owner: 'a', fence: 1, acquiredAt: now().toISOString() });
    expect(await running.acquire(store, 'a')).toEqual({ acquired: true, fence: 1, owner: 'a' });
    expect(await running.acquire(store, 'b')).toEqual({ acquired: false, fence: 1, owner: 'a' });
    expect(await releaseLease(store, 'm', { owner: 'a' })).toBe(true);
    expect(await bodyOf(store)).toEqual({ owner: 'a', fence: 1, acquiredAt: now().toISOString(), released: true });
    expect(await running.acquire(store, 'b')).toEqual({ acquired: true, fence: 2, owner: 'b' });
  });

  it('passes from a holder that ended to one of 20, with one fence for each holder', async () => {
    const fences: number[] = [];
    for (let turn = 1; turn <= 4; turn++) {
      const owners = Array.from({ length: 20 }, (_, i) => `execution ${turn}-${i}`);
      for (const owner of owners) running.owners.add(owner);
      const states = await Promise.all(owners.map((owner) => running.acquire(store, owner)));
      const winners = states.filter(({ acquired }) => acquired);
      expect(winners).toHaveLength(1);
      for (const state of states) expect(state).toEqual({ ...winners[0], acquired: state.acquired });
      fences.push(winners[0].fence);
      // Every other holder ends without a release.
      if (turn % 2 === 0) await releaseLease(store, 'm', winners[0]);
      running.owners.clear();
    }
    expect(fences).toEqual([1, 2, 3, 4]);
  });

  it('is not released by a zombie, nor by one that never held it', async () => {
    expect(await releaseLease(store, 'm', { owner: 'a' })).toBe(false);
    await running.acquire(store, 'zombie');
    running.owners.delete('zombie');
    await running.acquire(store, 'b');
    const before = await store.get(leaseKey('m'));
    expect(await releaseLease(store, 'm', { owner: 'zombie' })).toBe(false);
    expect(await releaseLease(store, 'm', { owner: 'c' })).toBe(false);
    expect(await store.get(leaseKey('m'))).toEqual(before);
    expect(await running.acquire(store, 'zombie')).toEqual({ acquired: false, fence: 2, owner: 'b' });
  });

  it('goes on with the same fence where a reply was lost', async () => {
    const lossy = losingReply(store, 0);
    await expect(running.acquire(lossy, 'a')).rejects.toThrow(TransientError);
    expect(await running.acquire(lossy, 'a')).toEqual({ acquired: true, fence: 1, owner: 'a' });
    const lossyRelease = losingReply(store, 0);
    await expect(releaseLease(lossyRelease, 'm', { owner: 'a' })).rejects.toThrow(TransientError);
    expect(await releaseLease(lossyRelease, 'm', { owner: 'a' })).toBe(true);
    expect(await bodyOf(store)).toMatchObject({ fence: 1, released: true });
  });

  it('is neither lost nor counted twice by a client that sends writes twice', async () => {
    const repeating = repeatingWrites(store, 'lease.json');
    expect(await running.acquire(repeating, 'a')).toEqual({ acquired: true, fence: 1, owner: 'a' });
    expect(await releaseLease(repeating, 'm', { owner: 'a' })).toBe(true);
    expect(await running.acquire(repeating, 'b')).toEqual({ acquired: true, fence: 2, owner: 'b' });
  });

  it('has at most one holder of each fence where 20 race over replies that are lost', async () => {
    let writes = 0;
    const lossy = withFaultyWrites(store, async (write) => {
      const reply = await write();
      if (writes++ % 2 === 0) throw new TransientError('store: a reply, got none');
      return reply;
    });
    const owners = Array.from({ length: 20 }, (_, i) => `execution ${i}`);
    const states: LeaseState[] = [];
    while (states.length < owners.length) {
      const left = owners.filter((owner) => !states.some((state) => state.owner === owner));
      const asked = await Promise.all(left.map((owner) => untilAnswered(() => running.acquire(lossy, owner))));
      const winner = asked.find(({ acquired }) => acquired)!;
      expect(asked.filter(({ acquired }) => acquired)).toHaveLength(1);
      states.push(winner);
      running.owners.delete(winner.owner);
      if (winner.fence % 3 === 0) await untilAnswered(() => releaseLease(lossy, 'm', winner));
    }
    expect(states.map(({ fence }) => fence)).toEqual(owners.map((_, i) => i + 1));
  });
});

/** Repeats what answers are lost of, as the workflow's retries do. */
async function untilAnswered<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
    }
  }
}

describe('a lease', () => {
  const isRunning = async () => false;

  it('says that its object is damaged', async () => {
    const bodies = ['', '{', '[]', '{"owner":"a"}', '{"owner":"a","fence":0,"acquiredAt":"2026-01-02T03:04:05Z"}'];
    for (const body of bodies) {
      const store = new MemoryObjectStore();
      await store.put(leaseKey('m'), new TextEncoder().encode(body));
      await expect(acquireLease(store, 'm', { owner: 'a', isRunning })).rejects.toThrow(MalformedFileError);
      await expect(releaseLease(store, 'm', { owner: 'a' })).rejects.toThrow(MalformedFileError);
    }
  });

  it('is not of a model that no model can be', async () => {
    const request = acquireLease(new MemoryObjectStore(), '../m', { owner: 'a', isRunning });
    await expect(request).rejects.toThrow(InvalidInputError);
  });

  it('gives up where it changes hands without end, and may be asked for again', async () => {
    const store = new MemoryObjectStore();
    let thief = 0;
    // Before every write of `a`, somebody else takes the lease and ends.
    const stolen = withFaultyWrites(store, async (write) => {
      await acquireLease(store, 'm', { owner: `thief ${thief++}`, isRunning });
      return write();
    });
    await expect(acquireLease(stolen, 'm', { owner: 'a', isRunning })).rejects.toThrow(ConflictError);
    expect(thief).toBeLessThan(20);
    expect((await acquireLease(store, 'm', { owner: 'a', isRunning })).acquired).toBe(true);
  });
});
