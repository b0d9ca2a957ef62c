import type { ObjectStore } from './object-store.js';

/** What dropped files leave even of a model that nobody knows. */
const traces: ReadonlySet<string | undefined> = new Set(['records', 'failures', 'batches', 'stalls', 'lease.json']);

/** Models with versions, statistics or a registration; those of which there are only traces are not among them. */
export async function modelsWithContent(store: ObjectStore): Promise<ReadonlySet<string>> {
  const parts = (await store.list('models/')).map((key) => key.split('/'));
  return new Set(parts.filter(([, , folder]) => !traces.has(folder)).map(([, id]) => id));
}
