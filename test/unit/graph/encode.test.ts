import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeModel, encodeGraph, encodeModel } from '../../../src/graph/encode.js';
import {
  add,
  cast,
  Graph,
  gather,
  gemm,
  gradient,
  lowerGraph,
  matMul,
  mul,
  reduceSum,
  softmax,
  transpose,
} from '../../../src/graph/index.js';
import { scatterElementsAdd } from '../../../src/graph/indexing.js';
import { topK } from '../../../src/graph/reductions.js';
import { compile } from '../../../src/runtime/index.js';
import {
  encodeSafetensors,
  openSafetensors,
  type Tensor,
  type TensorLocation,
  tensor,
  toBfloat16,
  toFloat16,
} from '../../../src/tensor/index.js';

const location: TensorLocation = { file: '/w/a', dtype: 'float16', shape: [2, 3], offsetBytes: 5, sizeBytes: 12 };

function variedGraph(): Graph {
  const graph = new Graph();
  const x = graph.input('x', 'float32', ['rows', 2]);
  const ids = graph.input('ids', 'int64', ['rows', 1]);
  const table = graph.constant(tensor('float32', [2, 2], Float32Array.of(1, 2, 3, 4)));
  const hidden = gemm(x, graph.weight(location), { alpha: 0.5 });
  const batched = matMul(gather(table, ids), table, { transB: true });
  const scattered = scatterElementsAdd(softmax(hidden), ids, cast(ids, 'float32'));
  const loss = add(reduceSum(mul(scattered, 3), [0, 1]), reduceSum(batched, [0, 1, 2]));
  graph.output('gradient', gradient(loss, [x])[0]!);
  graph.output('best', topK(transpose(hidden, [1, 0]), 1).indices);
  graph.output('x again', x);
  return graph;
}

describe('encoding', () => {
  it('is undone by decoding', () => {
    const model = lowerGraph(variedGraph());
    expect(decodeModel(encodeModel(model), '/w')).toEqual(model);
  });

  it('says the folder of the weights and the inputs', () => {
    const { weightsFolder, inputs } = encodeGraph(variedGraph());
    expect(weightsFolder).toBe('/w');
    expect(inputs.map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
      ['x', 'float32', ['rows', 2]],
      ['ids', 'int64', ['rows', 1]],
    ]);
  });

  it('refuses weights in several folders', () => {
    const graph = new Graph();
    const other = { ...location, file: '/v/b' };
    graph.output('y', add(graph.weight(location), graph.weight(other)));
    expect(() => encodeGraph(graph)).toThrow('weights of a graph: files in one folder, got /v and /w');
  });

  it('refuses a graph without outputs', () => {
    expect(() => encodeGraph(new Graph())).toThrow('graph: at least one output, got none');
  });
});

describe('weights in a safetensors file', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'hookline-graph-')));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const values = [1, -2, 0.5, 3, 0.25, -8];
  const stored: Record<string, Tensor> = {
    float32: tensor('float32', [2, 3], Float32Array.from(values)),
    float16: tensor('float16', [2, 3], toFloat16(values)),
    bfloat16: tensor('bfloat16', [2, 3], toBfloat16(values)),
  };

  it.each(
    Object.keys(stored).flatMap((dtype) => [1, 2, 3].map((padding) => ({ dtype, padding }))),
  )('are read at odd offsets: $dtype behind $padding bytes', async ({ dtype, padding }) => {
    const path = join(folder, `${dtype}-${padding}.safetensors`);
    const filler = tensor('uint8', [padding], new Uint8Array(padding).fill(255));
    await writeFile(
      path,
      encodeSafetensors([
        ['a', filler],
        ['w', stored[dtype]!],
      ]),
    );
    const file = await openSafetensors(path);
    for (const floatDtype of ['float32', 'float64'] as const) {
      const graph = new Graph({ floatDtype });
      const weight = graph.weight(file.tensors.get('w')!);
      graph.output('w', mul(weight, graph.input('one', floatDtype, [])));
      const program = await compile(graph);
      const one = floatDtype === 'float32' ? Float32Array.of(1) : Float64Array.of(1);
      const { w } = await program.run({ one: tensor(floatDtype, [], one) });
      expect(Array.from(w!.data, Number)).toEqual(values);
      await program.dispose();
    }
  });
});
