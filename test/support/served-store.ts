/** @file A store with three versions of the bundled model whose edits really change its answers. */

import { type Edit, fillTemplate } from '../../src/editing/index.js';
import type { ObjectStore } from '../../src/registry/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import { EditSession, openEditSession } from '../../src/rounds/index.js';
import { Workbench } from '../../src/rounds/workbench.js';
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
  const settings = { layers: [0], learningRate: 1, contextTokens: 4 };
  const place = { settings, heldOut: heldOut.slice(0, 1), criteria: null };
  const session = await openEditSession({ ...bundled, ...place });
  const publish = async (editing: EditSession, batches: readonly (readonly Edit[])[]) => {
    for await (const _ of editing.edit(batches, { publishedBy: 'a test' }));
    await editing.close();
  };
  const tenantId = 'tenant';
  if (hasTenant) {
    // The statistics are the model's, whatever name it has in a store.
    const bench = new Workbench({ ...session.bench, device: bundled.device, modelId: tenantId });
    const tenant = new EditSession(bench, undefined, { statistics: session.statistics, heldOut: [], criteria: null });
    await publish(tenant, [edits.slice(-1)]);
  }
  await publish(
    session,
    edits.map((edit) => [edit]),
  );
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
