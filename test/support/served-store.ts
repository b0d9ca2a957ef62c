/** @file A store with three versions of the bundled model whose edits really change its answers. */

import { type Edit, fillTemplate } from '../../src/editing/index.js';
import type { ObjectStore } from '../../src/registry/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import { editRounds, openEditSession } from '../../src/rounds/index.js';
import { BundledModel } from './bundled-model.js';

/** What there is to serve. */
export interface ServedStore {
  readonly store: MemoryObjectStore;
  readonly modelId: string;
  readonly modelDirectory: string;
  /** The prompt of each edit; version n holds the first n. */
  readonly prompts: readonly string[];
  /** Their targets. */
  readonly targets: readonly string[];
  /** Another model id on the same base model, with one version, of the last edit only. */
  readonly tenantId: string;
}

/** Publishes versions of one edit each, and a tenant's version if it is wanted. */
export async function servedStore({ versions = 3, hasTenant = false } = {}): Promise<ServedStore> {
  const bundled = await BundledModel.open(versions);
  const { store, modelId, modelDirectory, edits, heldOut } = bundled;
  const session = await openEditSession({ ...bundled, settings: { layers: [0], learningRate: 1, contextTokens: 4 } });
  const publish = async (id: string, batches: readonly (readonly Edit[])[]) => {
    const rounds = editRounds(session.bench, {
      ...session,
      store,
      modelId: id,
      modelName: id,
      heldOut: heldOut.slice(0, 1),
      publishedBy: 'a test',
      batches,
      rejected: [],
      compareGates: false,
    });
    for await (const _ of rounds);
  };
  const tenantId = 'tenant';
  await publish(
    modelId,
    edits.map((edit) => [edit]),
  );
  if (hasTenant) await publish(tenantId, [edits.slice(-1)]);
  await session.bench.dispose();
  const prompts = edits.map((edit) => fillTemplate(edit.prompt, edit.subject));
  return { store, modelId, modelDirectory, prompts, targets: edits.map(({ targetNew }) => targetNew), tenantId };
}

/** A copy of all objects, in another store or a new one in memory. */
export async function copyOf<Store extends ObjectStore>(store: ObjectStore, target: Store): Promise<Store> {
  for (const key of await store.list('')) await target.put(key, (await store.get(key)).bytes);
  return target;
}

/** A copy in memory. */
export const copyInMemory = (store: ObjectStore): Promise<MemoryObjectStore> => copyOf(store, new MemoryObjectStore());
