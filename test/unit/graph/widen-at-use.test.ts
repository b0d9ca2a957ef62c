import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  add,
  encodeGraph,
  Graph,
  gather,
  gemm,
  gradient,
  lowerGraph,
  mul,
  type OnnxModel,
  reduceSum,
  transpose,
  type Value,
} from '../../../src/graph/index.js';
import { widenAtUse } from '../../../src/graph/widen-at-use.js';
import { compile } from '../../../src/runtime/index.js';
import {
  encodeSafetensors,
  openSafetensors,
  type Tensor,
  type TensorLocation,
  tensor,
  toBfloat16,
} from '../../../src/tensor/index.js';
import { gaussian } from '../../support/random-matrix.js';

const width = 300;

/** A weight of random bfloat16 numbers of about 1/16. */
function bfloat16(rows: number, seed: number): Tensor {
  const data = gaussian(rows, width, seed).data;
  const bits = toBfloat16(Float32Array.from(data, (value) => value / 16));
  return tensor('bfloat16', [rows, width], bits);
}

let folder: string;
let weights: ReadonlyMap<string, TensorLocation>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hookline-widen-'));
  const path = join(folder, 'model.safetensors');
  const small = tensor('bfloat16', [width], new Uint16Array(width).fill(0x3f80));
  const stored = { embedding: bfloat16(400, 1), up: bfloat16(width, 2), down: bfloat16(width, 3), gain: small };
  await writeFile(path, encodeSafetensors(new Map(Object.entries(stored))));
  ({ tensors: weights } = await openSafetensors(path));
});
afterAll(() => rm(folder, { recursive: true }));

/** Two layers over tokens and their shift, the logits by the embedding, and the gradient by the shift. */
function network(): Graph {
  const graph = new Graph();
  const weight = (name: string): Value => graph.weight(weights.get(name)!);
  const shift = graph.input('shift', 'float32', ['rows', width]);
  const x = add(gather(weight('embedding'), graph.input('ids', 'int64', ['rows'])), shift);
  const inner = mul(gemm(x, weight('up'), { transB: true }), weight('gain'));
  const hidden = add(x, gemm(mul(inner, inner), weight('down')));
  const logits = gemm(hidden, weight('embedding'), { transB: true });
  graph.output('logits', logits);
  graph.output('gradient', gradient(reduceSum(mul(logits, logits), [0, 1]), [shift])[0]!);
  return graph;
}

/** The stored weights that an output depends on by a cast which no input comes before. */
function heldWeights({ nodes, initializers, inputs }: OnnxModel): string[] {
  const dynamic = new Set(inputs.map(({ name }) => name));
  for (const { inputs: read, outputs } of nodes) {
    if (read.some((name) => dynamic.has(name))) for (const output of outputs) dynamic.add(output);
  }
  const shapes = new Map(
    initializers.map(({ name, content }) => [name, 'file' in content ? content.shape.join('x') : '']),
  );
  return nodes
    .filter(({ type, outputs }) => type === 'Cast' && !dynamic.has(outputs[0]!))
    .map(({ inputs: [name] }) => shapes.get(name!) ?? '');
}

describe('weights in two bytes', () => {
  it('are widened where they are used, each time after something that a run feeds, but for small ones', () => {
    const model = lowerGraph(network());
    expect(heldWeights(model)).toHaveLength(4);
    const atUse = widenAtUse(model, 0);
    expect(heldWeights(atUse)).toEqual([`${width}`]);
    // Both matrices in both directions, the rows of the embedding, and the whole of it once for both directions of the logits.
    expect(atUse.nodes.filter(({ type }) => type === 'Cast')).toHaveLength(2 + 2 + 1 + 1 + 1);
  });

  it('are held wide if there is room for all of them', () => {
    const model = lowerGraph(network());
    const bytes = 4 * width * (400 + width + width);
    expect(widenAtUse(model, bytes)).toBe(model);
    expect(widenAtUse(model, bytes - 1)).not.toBe(model);
    const inLarger = model.initializers.map(({ name, content }) => ({
      name,
      content: 'file' in content ? { ...content, checkpointBytes: bytes } : content,
    }));
    expect(heldWeights(widenAtUse({ ...model, initializers: inLarger }, bytes))).toHaveLength(1);
  });

  it('give the same numbers either way', async () => {
    const ids = tensor('int64', [3], BigInt64Array.of(5n, 399n, 0n));
    const shift = tensor('float32', [3, width], Float32Array.from(gaussian(3, width, 4).data));
    const [wide, atUse] = await Promise.all(
      [Number.POSITIVE_INFINITY, 0].map(async (mostWidenedBytes) => {
        const program = await compile(network(), { mostWidenedBytes });
        const results = await program.run({ ids, shift });
        await program.dispose();
        return results;
      }),
    );
    expect(wide).toEqual(atUse);
    expect(Math.max(...(wide!.gradient!.data as Float32Array).map(Math.abs))).toBeGreaterThan(1);
  });

  it('stay held where a node reads nothing else, or they are a result themselves', async () => {
    const graph = new Graph();
    const [up, down] = [graph.weight(weights.get('up')!), graph.weight(weights.get('down')!)];
    graph.output('turned', transpose(up, [1, 0]));
    graph.output('down', down);
    expect(heldWeights(widenAtUse(lowerGraph(graph), 0))).toHaveLength(2);
    const program = await compile(graph, { mostWidenedBytes: 0 });
    const { turned, down: same } = await program.run({});
    await program.dispose();
    expect([turned!.data[1], same!.data.length]).toEqual([expect.any(Number), width * width]);
  });

  it('are all held in a graph that is encoded for others', async () => {
    const { decodeModel } = await import('../../../src/graph/encode.js');
    const { bytes } = await encodeGraph(network());
    expect(heldWeights(decodeModel(bytes))).toHaveLength(4);
  });
});
