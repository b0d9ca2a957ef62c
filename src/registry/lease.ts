import * as z from 'zod';
import { ConflictError, NoSuchKeyError, PreconditionFailedError } from '../errors.js';
import { decodeJson, encodeJson } from './json-object.js';
import { leaseKey } from './keys.js';
import type { ObjectStore } from './object-store.js';

const leaseSchema = z.strictObject({
  owner: z.string().min(1),
  fence: z.int().positive(),
  acquiredAt: z.iso.datetime(),
  released: z.literal(true).optional(),
});

/**
 * The body of `lease.json`. The fence grows by one with every new holder and outlives releases, so no two bodies are alike
 * and an ETag names one state for ever.
 */
type Lease = Readonly<z.infer<typeof leaseSchema>>;

/** Who holds a model. */
export interface LeaseState {
  /** Whether the holder is who asked. */
  readonly acquired: boolean;
  readonly fence: number;
  /** The holder. */
  readonly owner: string;
}

export interface LeaseRequest {
  /** Who wants the model: an execution's id. */
  readonly owner: string;
  /** The clock. It only dates the lease: no lease ends by time. */
  readonly now?: () => Date;
  /** Whether a holder may still be at work. False for one that ended and for one that nobody knows. */
  readonly isRunning: (owner: string) => Promise<boolean>;
}

/** How often a lost race is run again. Every race lost is one that another won, so one more rarely is needed. */
const maxRaces = 8;

/**
 * Takes the model for one execution, unless another that is still running holds it. Safe to repeat after any failure:
 * who holds the lease already goes on with the same fence.
 *
 * Of all that ask at once one takes it; a holder that ended without a release is succeeded, with a higher fence. Two
 * executions can believe that they hold a model only where `isRunning` errs, and then publishing, which is conditional
 * on the base, lets one through.
 *
 * @throws {MalformedFileError} if the stored lease is damaged
 * @throws {ConflictError} if every race was lost to a holder that ended at once
 */
export async function acquireLease(store: ObjectStore, modelId: string, request: LeaseRequest): Promise<LeaseState> {
  const { owner, now = () => new Date(), isRunning } = request;
  const leaseOf = (fence: number): Lease => ({ owner, fence, acquiredAt: now().toISOString() });
  for (let race = 0; race < maxRaces; race++) {
    if (await wrote(store, modelId, leaseOf(1), undefined)) return { acquired: true, fence: 1, owner };
    const found = await readLease(store, modelId);
    if (found === undefined) continue;
    const { lease, etag } = found;
    const isHeld = lease.released !== true;
    if (isHeld && lease.owner === owner) return { acquired: true, fence: lease.fence, owner };
    if (isHeld && (await isRunning(lease.owner))) return { acquired: false, fence: lease.fence, owner: lease.owner };
    const fence = lease.fence + 1;
    if (await wrote(store, modelId, leaseOf(fence), etag)) return { acquired: true, fence, owner };
  }
  throw new ConflictError(leaseKey(modelId));
}

/**
 * Gives the model back. What stays keeps the fence, for the next holder to count on. Safe to repeat.
 *
 * @returns whether the model was released by this owner, now or before; false if it has another holder or none
 * @throws {MalformedFileError} if the stored lease is damaged
 * @throws {ConflictError} if the lease kept changing
 */
export async function releaseLease(
  store: ObjectStore,
  modelId: string,
  { owner }: Pick<LeaseRequest, 'owner'>,
): Promise<boolean> {
  for (let race = 0; race < maxRaces; race++) {
    const found = await readLease(store, modelId);
    if (found?.lease.owner !== owner) return false;
    if (found.lease.released || (await wrote(store, modelId, { ...found.lease, released: true }, found.etag)))
      return true;
  }
  throw new ConflictError(leaseKey(modelId));
}

/** Who holds the model, whether or not they still run; undefined if nobody does. @throws {MalformedFileError} if damaged */
export async function leaseHolder(store: ObjectStore, modelId: string): Promise<string | undefined> {
  const found = await readLease(store, modelId);
  return found === undefined || found.lease.released ? undefined : found.lease.owner;
}

/** Writes over the lease with this ETag, or where none is; false if it is in another state. */
async function wrote(store: ObjectStore, modelId: string, lease: Lease, etag: string | undefined): Promise<boolean> {
  const condition = etag === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: etag };
  try {
    await store.put(leaseKey(modelId), encodeJson(lease), condition);
    return true;
  } catch (error) {
    if (error instanceof PreconditionFailedError) return false;
    throw error;
  }
}

async function readLease(store: ObjectStore, modelId: string) {
  const key = leaseKey(modelId);
  try {
    const { bytes, etag } = await store.get(key);
    return { lease: decodeJson(leaseSchema, bytes, key), etag };
  } catch (error) {
    if (error instanceof NoSuchKeyError) return undefined;
    throw error;
  }
}
