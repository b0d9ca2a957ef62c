import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Graph } from '../../../src/graph/index.js';
import {
  declarePacking,
  embedTokens,
  loadModel,
  packSequences,
  runBlocks,
  vocabularyLogits,
} from '../../../src/model/index.js';
import { compile } from '../../../src/runtime/index.js';
import { tensor } from '../../../src/tensor/index.js';
import { tolerances } from '../../support/matchers.js';

const root = new URL('../../golden/biases/', import.meta.url).pathname;

describe('a model whose projections have biases', () => {
  it.each(['llama', 'qwen3'])('%s, has the logits of transformers', async (name) => {
    const { ids, logits } = JSON.parse(readFileSync(join(root, name, 'logits.json'), 'utf8'));
    const model = await loadModel(join(root, name));
    const graph = new Graph();
    const packing = declarePacking(graph, model.config);
    const embedded = embedTokens(model, packing, graph.input('tokenIds', 'int64', ['rows']));
    const hidden = runBlocks(model, packing, embedded, { from: 0, to: model.config.layers });
    graph.output('logits', vocabularyLogits(model, hidden));
    const program = await compile(graph);
    const outputs = await program.run({
      ...packSequences(model.config, [{ past: 0, length: ids.length }]),
      tokenIds: tensor('int64', [ids.length], BigInt64Array.from(ids, BigInt)),
    });
    const expected = Float64Array.from(logits.flat());
    expect(outputs.logits.data).toBeAllclose(expected, tolerances.activations);
    await program.dispose();
  });
});
