import { expect, it } from 'vitest';
import { Graph } from '../../../src/graph/index.js';
import { scatterRowsAdd } from '../../../src/graph/indexing.js';
import { compile } from '../../../src/runtime/index.js';
import { tensor, zeros } from '../../../src/tensor/index.js';

it('adds rows at repeated indices without losing any, on several threads', async () => {
  const graph = new Graph();
  const base = graph.input('base', 'float32', [2, 2]);
  const indices = graph.input('indices', 'int64', ['count']);
  const updates = graph.input('updates', 'float32', ['count', 2]);
  graph.output('sum', scatterRowsAdd(base, indices, updates));
  const program = await compile(graph, { threads: 4 });
  const count = 300_000;
  const feeds = {
    base: zeros('float32', [2, 2]),
    indices: tensor(
      'int64',
      [count],
      BigInt64Array.from({ length: count }, (_, i) => BigInt(i % 2)),
    ),
    updates: tensor('float32', [count, 2], new Float32Array(count * 2).fill(1)),
  };
  for (let run = 0; run < 5; run++) {
    const { sum } = await program.run(feeds);
    expect([...(sum!.data as Float32Array)]).toEqual(Array(4).fill(count / 2));
  }
  await program.dispose();
});
