import { loadModel, loadTokenizer } from '../../src/model/index.js';
import { ModelVersions } from '../../src/registry/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import { intercepted } from '../support/faulty-object-store.js';
import { publishFiring } from '../support/firing-versions.js';
import { interleave } from './clock.js';
import type { BenchContext } from './context.js';
import { figure, type Measurement } from './figure.js';

/** What a look for a new version costs while there is none. */
export async function measureIdlePull({ options, settings }: BenchContext): Promise<Measurement> {
  const model = await loadModel(options.model);
  const tokenizer = await loadTokenizer(options.model);
  const inner = new MemoryObjectStore();
  await publishFiring(
    inner,
    'idle',
    { model, tokenizer },
    { rounds: [{ addedIds: ['a', 'b'] }], layers: settings.layers },
  );
  let requests: string[] = [];
  let bytes = 0;
  const store = intercepted(inner, async (carryOut, operation) => {
    requests.push(operation);
    const result = await carryOut();
    bytes += (result as { readonly bytes?: Uint8Array } | undefined)?.bytes?.length ?? 0;
    return result;
  });
  const versions = new ModelVersions({ store, modelId: 'idle' });
  await versions.pull();
  const first = { requests: requests.length, bytes };
  [requests, bytes] = [[], 0];
  await versions.pull();
  const idle = { requests: [...requests], bytes };
  const { pull } = await interleave({ pull: () => versions.pull() }, 200);
  return {
    name: 'idle-pull',
    note: `store in memory; the first pull took ${first.requests} requests and ${first.bytes} bytes`,
    figures: [
      figure('requests with nothing new', idle.requests.length, '', { atMost: 1 }),
      figure('unconditional ones', idle.requests.filter((name) => name !== 'getIfChanged').length, '', { atMost: 0 }),
      figure('bytes with nothing new', idle.bytes, 'B', { atMost: 0 }),
      figure('time, median', 1e6 * pull.median, 'us'),
    ],
  };
}
