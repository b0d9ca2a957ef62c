import { listExecutions } from '../../src/local/index.js';
import { failureKey, modelIdOfIncomingKey, type ObjectStore } from '../../src/registry/index.js';
import { errorNames } from '../../src/workflow/index.js';

/** How executions ended, and what is not as it must be. */
export interface ExecutionCheck {
  /** By outcome, or by status where an execution said nothing of itself. */
  readonly ends: Readonly<Record<string, number>>;
  readonly broken: readonly string[];
}

/** Every execution has an end; every one that failed left a record that names its stage, error and message. */
export async function checkExecutions(store: ObjectStore): Promise<ExecutionCheck> {
  const ends: Record<string, number> = {};
  const broken: string[] = [];
  for (const { name, input, result } of await listExecutions(store)) {
    const end = result === undefined ? 'without end' : (result.note?.outcome ?? result.status);
    ends[end] = (ends[end] ?? 0) + 1;
    if (result === undefined) broken.push(`execution ${name}: a result, got none`);
    if (result?.status !== 'FAILED') continue;
    const modelId = input.modelId || modelIdOfIncomingKey(input.objectKey)!;
    const record = await readRecord(store, failureKey(modelId, name));
    const missing = ['stage', 'error', 'message'].filter((field) => !record?.[field]);
    // A full disk took no record: then the end, which was written later, says why.
    const saysWhy = result.error === errorNames.machine && result.cause !== '';
    if (missing.length > 0 && !saysWhy)
      broken.push(`failure of ${name}: stage, error and message, got no ${missing.join(', ')}`);
  }
  return { ends, broken };
}

async function readRecord(store: ObjectStore, key: string): Promise<Record<string, string> | undefined> {
  if ((await store.head(key)) === undefined) return undefined;
  return JSON.parse(new TextDecoder().decode((await store.get(key)).bytes)) as Record<string, string>;
}
