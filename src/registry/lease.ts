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
 * The body of `lease.json`. The fence grows by one with every new holder and survives releases. So no two bodies are
 * equal, and an ETag names one state for ever.
 */
type Lease = Readonly<z.infer<typeof leaseSchema>>;

/** Who holds a model. */
export interface LeaseState {
  /** Whether the caller is the holder. */
  readonly acquired: boolean;
  readonly fence: number;
  /** The holder. */
  readonly owner: string;
}

export interface LeaseRequest {
  /** Who wants the model: an execution's id. */
  readonly owner: string;
  /** The clock. It only dates the lease. No lease expires. */
  readonly now?: () => Date;
  /** Whether a holder may still be at work. False if it has ended or is unknown. */
  readonly isRunning: (owner: string) => Promise<boolean>;
}

/** How often a lost race is run again. Somebody wins every race, so more than one is rarely needed. */
const maxRaces = 8;

/**
 * Takes the model for one execution, unless another one that still runs holds it. It is safe to repeat after any
 * failure: an execution that holds the lease already keeps its fence.
 *
 * Of several callers at once, one gets the lease. If a holder ended without a release, the next one takes over with a
 * higher fence. Two executions can both believe that they hold a model only if `isRunning` is wrong. Then publishing,
 * which is conditional on the base, lets only one through.
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
 * Gives the model back. The object stays, because the next holder continues its fence. Safe to repeat.
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

/**
 * Who holds the model, whether or not they still run; undefined if nobody does. @throws {MalformedFileError} if damaged
 */
export async function leaseHolder(store: ObjectStore, modelId: string): Promise<string | undefined> {
  const found = await readLease(store, modelId);
  return found === undefined || found.lease.released ? undefined : found.lease.owner;
}

/** Replaces the lease with this ETag, or creates the first one; false if it is in another state. */
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
