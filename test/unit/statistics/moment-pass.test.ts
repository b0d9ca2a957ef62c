import { describe, expect, it } from 'vitest';
import { loadModel } from '../../../src/model/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { sumKeyMoments } from '../../../src/statistics/moment-pass.js';
import { GoldenModel } from '../../parity/golden-model.js';
import { tolerances } from '../../support/matchers.js';

describe.each(['llama', 'gpt2', 'gpt_neox'])('the key moments of %s', (name) => {
  it('are those of PyTorch', async () => {
    const golden = new GoldenModel(name);
    const { sequences, ridges, tokens } = golden.record.moment;
    const pass = { rowsPerBatch: 100, store: new MemoryObjectStore(), checkpointKey: 'sums', checkpointSeconds: 20 };
    const model = await loadModel(golden.directory);
    const result = await sumKeyMoments({ model, layers: [0, 1], sequences, ...pass });
    expect(result.tokens).toBe(tokens);
    for (const [layer, sum] of result.sums) {
      const { rows: size, data: expected } = golden.matrix(`moment.layer.${layer}.moment`);
      const moment = sum.map((value, i) => value / tokens + (i % (size + 1) === 0 ? ridges[layer] : 0));
      expect(moment).toBeAllclose(expected, tolerances.activations);
    }
  });
});
