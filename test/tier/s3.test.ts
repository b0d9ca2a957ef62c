import { randomUUID } from 'node:crypto';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PermanentError, PreconditionFailedError, StaleBaseError } from '../../src/errors.js';
import {
  acquireLease,
  latest,
  listVersions,
  type ObjectStore,
  openStore,
  publish,
  pull,
  releaseLease,
  rollback,
  S3ObjectStore,
} from '../../src/registry/index.js';
import { draftEdit, manifestDraft } from '../support/manifest-draft.js';
import { type MotoServer, pythonWithMoto, startMoto } from '../support/moto-server.js';
import { describeObjectStoreContract } from '../support/object-store-contract.js';
import { type Gateway, s3Error, startGateway } from '../support/s3-gateway.js';

const python = pythonWithMoto();
const realBucket = process.env.HOOKLINE_S3_BUCKET ?? '';
const where = python === undefined ? `bucket ${realBucket}` : 'moto';
const isThere = python !== undefined || realBucket !== '';
const name = isThere
  ? `S3 (${where})`
  : 'S3, skipped because neither HOOKLINE_PYTHON nor python3 has moto[server] and HOOKLINE_S3_BUCKET names no bucket';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const run = `hookline-test-${randomUUID()}`;
const opened: ObjectStore[] = [];
let moto: MotoServer | undefined;
let bucket = realBucket;
let count = 0;

/** A store that nothing is in: a part of its own of the bucket. */
function newStore(): S3ObjectStore {
  const store = new S3ObjectStore(bucket, `${run}/${count++}`);
  opened.push(store);
  return store;
}

async function newBucket(): Promise<string> {
  const bucket = `hookline-${randomUUID()}`;
  const client = new S3Client({ forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  return bucket;
}

describe.skipIf(!isThere)(name, () => {
  // One line says that the tier was skipped.
  if (!isThere) return it('keeps the contract', () => expect(isThere).toBe(true));
  beforeAll(async () => {
    if (python === undefined) return;
    moto = await startMoto(python);
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: moto.endpoint,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_REGION: 'us-east-1',
    });
    bucket = await newBucket();
  });
  afterAll(async () => {
    if (moto !== undefined) return moto.stop();
    for (const store of opened) for (const key of await store.list('')) await store.delete(key);
  });

  describeObjectStoreContract('a prefix of a bucket', async () => newStore());
  if (python !== undefined) {
    describeObjectStoreContract('a whole bucket', async () => new S3ObjectStore(await newBucket()));
    describeFaults(() => moto!.endpoint);
  }
  describePlaces();
  describeVersions();
  describeLease();
});

function describePlaces(): void {
  describe('a store in S3', () => {
    it('has its objects below its prefix, and sees nothing beside it', async () => {
      const prefix = `${run}/${count++}`;
      const [inner, beside] = [openStore(`s3://${bucket}/${prefix}/in/`), openStore(`s3://${bucket}/${prefix}`)];
      opened.push(beside);
      await inner.put('a/b', bytesOf('x'));
      await beside.put('in-between', bytesOf('y'));
      await beside.put('a/b', bytesOf('z'));
      expect(await inner.list('')).toEqual(['a/b']);
      expect(await beside.list('in')).toEqual(['in-between', 'in/a/b']);
      expect((await inner.get('a/b')).bytes).toEqual(bytesOf('x'));
    });

    it('lists more keys than one page holds, and any character', async () => {
      const store = newStore();
      const names = Array.from({ length: 1005 }, (_, i) => `n/${String(i).padStart(4, '0')}`);
      for (let i = 0; i < names.length; i += 40) {
        await Promise.all(names.slice(i, i + 40).map((key) => store.put(key, new Uint8Array())));
      }
      expect(await store.list('n/')).toEqual(names);
      const odd = ['a b+c', 'a%2Fb', 'é&<>"\'', '\u{1f600}?#', ' a ', '\ufffe'];
      for (const key of odd) await store.put(key, bytesOf(key));
      expect(new Set(await store.list(''))).toEqual(new Set([...odd, ...names]));
      for (const key of odd) expect((await store.get(key)).bytes).toEqual(bytesOf(key));
    });

    it('holds an object of many megabytes', async () => {
      const store = newStore();
      const bytes = Uint8Array.from({ length: 24 << 20 }, (_, i) => (i * 2654435761) >>> 24);
      await store.put('big', bytes);
      expect(Buffer.compare((await store.get('big')).bytes, bytes)).toBe(0);
      expect((await store.head('big'))?.sizeBytes).toBe(bytes.length);
    });

    it('says in one line that its bucket does not exist', async () => {
      const store = new S3ObjectStore(`hookline-none-${randomUUID().slice(0, 8)}`);
      for (const work of [() => store.get('a'), () => store.put('a', bytesOf('x')), () => store.list('')]) {
        const error = await work().catch((error: unknown) => error);
        expect(error).toBeInstanceOf(PermanentError);
        expect((error as Error).message).toMatch(
          /^\w+ of s3:\/\/hookline-none-\S*: a bucket that exists, got NoSuchBucket[^\n]*$/,
        );
      }
    });
  });
}

async function publishRound(store: ObjectStore, id: string) {
  const current = await latest(store, 'm');
  const manifest = manifestDraft([...(current?.manifest.edits ?? []), draftEdit(id)], current?.manifest.segments);
  const base = current ? { version: current.version, etag: current.etag } : null;
  const files = new Map([['hooks.safetensors', bytesOf(`hooks of ${id}`)] as const]);
  return publish(store, 'm', { manifest, files, base, publishedBy: id });
}

function describeVersions(): void {
  describe('versions in S3', () => {
    it('are published, pulled, listed and rolled back', async () => {
      const store = newStore();
      expect(await latest(store, 'm')).toBeUndefined();
      for (const id of ['one', 'two', 'three']) await publishRound(store, id);
      const pulled = await pull(store, 'm');
      expect(pulled.manifest.version).toBe(3);
      expect(pulled.manifest.edits.map(({ id }) => id)).toEqual(['one', 'two', 'three']);
      await rollback(store, 'm', 1, 'test');
      expect((await latest(store, 'm'))?.version).toBe(1);
      const listing = await listVersions(store, 'm');
      expect(listing.published.map(({ version }) => version)).toEqual([1, 2, 3]);
    });

    it('go to one of several rounds on the same base', async () => {
      const store = newStore();
      await publishRound(store, 'base');
      const outcomes = await Promise.allSettled(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => publishRound(store, id)));
      const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
      expect(reasons).toHaveLength(5);
      for (const reason of reasons) expect(reason).toBeInstanceOf(StaleBaseError);
      expect((await latest(store, 'm'))?.manifest.edits).toHaveLength(2);
    });
  });
}

function describeLease(): void {
  describe('a lease in S3', () => {
    it('goes to one of 20 at a time, with a fence of its own', async () => {
      const store = newStore();
      const isRunning = async () => true;
      const fences: number[] = [];
      for (let turn = 1; turn <= 3; turn++) {
        const owners = Array.from({ length: 20 }, (_, i) => `execution ${turn}-${i}`);
        const states = await Promise.all(owners.map((owner) => acquireLease(store, 'm', { owner, isRunning })));
        const winners = states.filter(({ acquired }) => acquired);
        expect(winners).toHaveLength(1);
        expect(new Set(states.map(({ owner }) => owner))).toEqual(new Set([winners[0].owner]));
        fences.push(winners[0].fence);
        expect(await releaseLease(store, 'm', { owner: 'a zombie' })).toBe(false);
        expect(await releaseLease(store, 'm', { owner: winners[0].owner })).toBe(true);
      }
      expect(fences).toEqual([1, 2, 3]);
    });
  });
}

function describeFaults(endpoint: () => string): void {
  describe('a store in S3 whose replies are lost', () => {
    let gateway: Gateway;
    let store: S3ObjectStore;
    beforeEach(async () => {
      gateway = await startGateway((_, forward) => forward(), endpoint());
      process.env.AWS_ENDPOINT_URL_S3 = gateway.endpoint;
      store = newStore();
      // The endpoint is read with the first request.
      await store.list('');
    });
    afterEach(async () => {
      delete process.env.AWS_ENDPOINT_URL_S3;
      await gateway.stop();
    });

    /** Carries out the next write, but ends its connection. */
    function loseNextReply(meanwhile: () => Promise<unknown> = async () => undefined): void {
      gateway.behaviour = async ({ method }, forward) => {
        if (method !== 'PUT') return forward();
        gateway.behaviour = (_, forward) => forward();
        await forward();
        await meanwhile();
        return undefined;
      };
    }

    it('knows its own conditional write again', async () => {
      loseNextReply();
      const { etag } = await store.put('a', bytesOf('one'), { ifNoneMatch: '*' });
      expect(await store.head('a')).toEqual({ etag, sizeBytes: 3 });
      loseNextReply();
      const second = await store.put('a', bytesOf('two'), { ifMatch: etag });
      expect(await store.get('a')).toEqual({ bytes: bytesOf('two'), etag: second.etag });
      await expect(store.put('a', bytesOf('x'), { ifMatch: etag })).rejects.toThrow(PreconditionFailedError);
    });

    it('does not take an identical write by another for its own', async () => {
      const other = newStore();
      const twin = new S3ObjectStore(bucket, other.prefix);
      // The other's write comes first; this one's is refused, and the refusal is lost as well.
      await other.put('a', bytesOf('same'), { ifNoneMatch: '*' });
      loseNextReply();
      await expect(twin.put('a', bytesOf('same'), { ifNoneMatch: '*' })).rejects.toThrow(PreconditionFailedError);
    });

    it('is refused where another has written since', async () => {
      const { etag } = await store.put('a', bytesOf('one'));
      loseNextReply(() => new S3ObjectStore(bucket, store.prefix).put('a', bytesOf('three')));
      await expect(store.put('a', bytesOf('two'), { ifMatch: etag })).rejects.toThrow(PreconditionFailedError);
      expect((await store.get('a')).bytes).toEqual(bytesOf('three'));
    });

    it('publishes once, and leases once, through connections that break at every write', async () => {
      gateway.behaviour = breakingEveryOtherWrite();
      for (const id of ['one', 'two', 'three']) await publishRound(store, id);
      expect((await latest(store, 'm'))?.version).toBe(3);
      const isRunning = async () => true;
      expect(await acquireLease(store, 'm', { owner: 'a', isRunning })).toEqual({
        acquired: true,
        fence: 1,
        owner: 'a',
      });
      expect(await acquireLease(store, 'm', { owner: 'b', isRunning })).toEqual({
        acquired: false,
        fence: 1,
        owner: 'a',
      });
      expect(await releaseLease(store, 'm', { owner: 'a' })).toBe(true);
    });

    it('sends a write again that met another one under way', async () => {
      let conflicts = 3;
      gateway.behaviour = ({ method }, forward) =>
        method === 'PUT' && conflicts-- > 0 ? s3Error(409, 'ConditionalRequestConflict') : forward();
      await store.put('a', bytesOf('one'), { ifNoneMatch: '*' });
      expect((await store.get('a')).bytes).toEqual(bytesOf('one'));
    });
  });
}

/** Carries out every write, and loses the reply to each first sending. */
function breakingEveryOtherWrite(): Gateway['behaviour'] {
  const seen = new Set<unknown>();
  return async ({ method, headers }, forward) => {
    const id = headers['amz-sdk-invocation-id'];
    const answer = await forward();
    if (method !== 'PUT' || seen.has(id)) return answer;
    seen.add(id);
    return undefined;
  };
}
