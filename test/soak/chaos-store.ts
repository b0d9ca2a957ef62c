import { ConflictError, TransientError } from '../../src/errors.js';
import type { ObjectStore } from '../../src/registry/index.js';
import { withFaultyWrites } from '../support/faulty-object-store.js';

/** How often a conditional write goes wrong. */
export interface FaultRates {
  /** It happens, and its reply is lost. */
  readonly lostReplies: number;
  /** It does not happen: another write was under way. */
  readonly conflicts: number;
}

/** What went wrong with a write. */
export interface Fault {
  readonly kind: 'lost reply' | 'conflict';
  readonly key: string;
}

/** A store whose conditional writes go wrong at random, as S3's may. @param random uniform in [0, 1) */
export function withChaos(
  store: ObjectStore,
  { lostReplies, conflicts }: FaultRates,
  random: () => number,
  onFault: (fault: Fault) => void,
): ObjectStore {
  return withFaultyWrites(store, async (write, key, { ifMatch, ifNoneMatch }) => {
    if (ifMatch === undefined && ifNoneMatch === undefined) return write();
    const chance = random();
    if (chance < conflicts) {
      onFault({ kind: 'conflict', key });
      throw new ConflictError(key);
    }
    const reply = await write();
    if (chance >= conflicts + lostReplies) return reply;
    onFault({ kind: 'lost reply', key });
    throw new TransientError(`object ${key}: a reply from the store, got none`);
  });
}
