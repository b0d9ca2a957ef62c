import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  add,
  argMax,
  exp,
  forOpset,
  Graph,
  greaterOrEqual,
  lowerGraph,
  type OnnxFile,
  type OnnxFileNode,
  openOnnxFile,
  reduceMax,
  reduceSum,
  squeeze,
} from '../../../src/graph/index.js';
import { openModelFile } from '../../../src/runtime/index.js';
import { tensor } from '../../../src/tensor/index.js';
import { golden } from '../../support/published-version.js';

const kinds = golden('onnx', 'kinds.onnx');
const external = golden('onnx', 'llama-external');
const names = [
  'kinds.onnx',
  'llama-opset14.onnx',
  'gpt2-opset18.onnx',
  'llama-float16.onnx',
  'llama-external/model.onnx',
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hookline-onnx-'));
});
afterAll(() => rm(folder, { recursive: true }));

const nodeOf = (type: string, inputs: string[], output: string): OnnxFileNode => {
  return { name: `added ${type}`, type, domain: '', inputs, outputs: [output], attributes: {} };
};

/** Writes a file's bytes and runs it. */
async function run(file: OnnxFile, x: number): Promise<Record<string, number[]>> {
  const path = join(folder, 'run.onnx');
  await writeFile(path, file.encode());
  const program = await openModelFile(path);
  const outputs = await program.run({ x: tensor('float32', [], Float32Array.of(x)) });
  await program.dispose();
  return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data, Number)]));
}

describe('a model file', () => {
  it.each(names)('%s is written back byte for byte', async (name) => {
    const path = golden('onnx', name);
    const file = await openOnnxFile(path);
    expect(Buffer.compare(file.encode(), await readFile(path))).toBe(0);
  });

  it('keeps fields that it knows nothing of', async () => {
    const path = join(folder, 'later.onnx');
    const later = Buffer.concat([await readFile(kinds), Uint8Array.of(0xba, 0x3e, 2, 7, 7)]); // field 999, two bytes
    await writeFile(path, later);
    const file = await openOnnxFile(path);
    file.addMetadata({ a: 'b' });
    expect(Buffer.from(file.encode()).includes(Buffer.of(0xba, 0x3e, 2, 7, 7))).toBe(true);
  });

  it('says what it is made of, subgraphs and functions included', async () => {
    const file = await openOnnxFile(kinds);
    expect(file.opset).toBe(18);
    expect(file.metadata).toEqual({ author: 'nobody' });
    expect(file.outputs).toEqual(['y']);
    expect(file.nodes.map(({ type }) => type)).toEqual(['Constant', 'Constant', 'Greater', 'If', 'Double']);
    expect(file.nodes[4].domain).toBe('made.up');
    expect([...file.operatorTypes].sort()).toEqual(['Add', 'Constant', 'Double', 'Greater', 'Identity', 'If']);
    expect(file.externalFiles).toEqual([]);
  });

  it('reads constants however they are stored', async () => {
    const file = await openOnnxFile(kinds);
    const read = async (name: string) => {
      const { dtype, shape, data } = await file.readConstant(name);
      return [dtype, shape, Array.from(data, Number)];
    };
    expect(await read('raw')).toEqual(['float32', [3], [1.5, -2, 0]]);
    expect(await read('floats')).toEqual(['float32', [3], [1.5, -2, 0]]);
    expect(await read('doubles')).toEqual(['float64', [3], [1.5, -2, 0]]);
    expect(await read('halves')).toEqual(['float16', [3], [0x3e00, 0xc000, 0]]);
    expect(await read('bfloats')).toEqual(['bfloat16', [3], [0x3fc0, 0xc000, 0]]);
    expect(await read('ints')).toEqual(['int32', [3], [1, -2, 0]]);
    expect(await read('longs')).toEqual(['int64', [3], [1, -2, 0]]);
    expect(await read('bytes')).toEqual(['uint8', [3], [1, 2, 0]]);
    expect(await read('signed')).toEqual(['int8', [3], [1, -2, 0]]);
    expect(await read('flags')).toEqual(['bool', [3], [1, 1, 0]]);
    expect(await read('two')).toEqual(['float32', [], [2]]);
    expect(file.constant('words')).toEqual({ name: 'words', dtype: undefined, shape: [1] });
    await expect(file.readConstant('words')).rejects.toThrow('constant words: a known type, got type 8');
    await expect(file.readConstant('x')).rejects.toThrow('a constant named x, got none');
  });

  it('reads external data from beside the model', async () => {
    const file = await openOnnxFile(join(external, 'model.onnx'));
    expect(file.externalFiles).toEqual([join(external, 'model.onnx_data')]);
    const inline = await openOnnxFile(golden('onnx', 'llama-opset14.onnx'));
    const name = 'model.embed_tokens.weight';
    expect(await file.readConstant(name)).toEqual(await inline.readConstant(name));
  });

  it('finds external data beside the name of a model that is a symbolic link', async () => {
    const cache = await mkdtemp(join(folder, 'cache-'));
    await symlink(join(external, 'model.onnx'), join(cache, 'model.onnx'));
    const file = await openOnnxFile(join(cache, 'model.onnx'));
    expect(file.externalFiles).toEqual([join(cache, 'model.onnx_data')]);
  });

  it('says which external file ends too early or leads out of the folder', async () => {
    const path = join(folder, 'model.onnx');
    await copyFile(join(external, 'model.onnx'), path);
    await writeFile(join(folder, 'model.onnx_data'), new Uint8Array(100));
    const short = await openOnnxFile(path);
    await expect(short.readConstant('model.embed_tokens.weight')).rejects.toThrow(/model.onnx_data: the elements of /);
    const bytes = await readFile(path);
    const text = bytes.toString('latin1').replaceAll('model.onnx_data', '../../../etc/xx');
    await writeFile(path, Buffer.from(text, 'latin1'));
    const outside = await openOnnxFile(path);
    expect(() => outside.externalFiles).toThrow(/below its folder, got location \.\.\/\.\.\/\.\.\/etc\/xx/);
  });

  it('refuses what is no model', async () => {
    await expect(openOnnxFile(join(folder, 'none.onnx'))).rejects.toThrow('a readable file');
    await expect(openOnnxFile(join(folder, 'none/model.onnx'))).rejects.toThrow('an existing file');
    const path = join(folder, 'text.onnx');
    await writeFile(path, 'this is no model');
    await expect(openOnnxFile(path)).rejects.toThrow('an ONNX model');
    await writeFile(path, '');
    await expect(openOnnxFile(path)).rejects.toThrow('an ONNX model with a graph, got none');
  });
});

describe('nodes put behind a value', () => {
  it('stand right after its producer, and all who read it see what they make', async () => {
    const file = await openOnnxFile(kinds);
    expect(await run(file, 3)).toEqual({ y: [10] });
    file.interpose('chosen', 'chosen/before', [
      nodeOf('Mul', ['chosen/before', 'ten'], 'tenfold'),
      nodeOf('Sub', ['tenfold', 'two'], 'chosen'),
    ]);
    file.addInitializers([{ name: 'ten', content: tensor('float32', [], Float32Array.of(10)) }]);
    file.addOutputs([{ name: 'tenfold', dtype: 'float32', shape: [] }]);
    file.addMetadata({ added: 'yes' });
    expect(file.nodes.map(({ type }) => type)).toEqual([
      'Constant',
      'Constant',
      'Greater',
      'If',
      'Mul',
      'Sub',
      'Double',
    ]);
    expect(file.metadata).toEqual({ author: 'nobody', added: 'yes' });
    expect(await run(file, 3)).toEqual({ y: [96], tenfold: [50] });
    expect(await run(file, -3)).toEqual({ y: [-64], tenfold: [-30] });
  });

  it('cannot stand behind an input', async () => {
    const file = await openOnnxFile(kinds);
    expect(() => file.interpose('x', 'x/before', [])).toThrow('a node that makes x, got none');
  });
});

describe('operators in older operator sets', () => {
  function reductions() {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['rows', 2]);
    graph.output('y', add(reduceSum(x, [1], { keepDims: true }), reduceMax(x, [1], { keepDims: true })));
    graph.output('z', squeeze(reduceMax(x, [1], { keepDims: true }), [1]));
    return lowerGraph(graph);
  }

  it('have their axes as an input from the set on that brought it, as an attribute before', () => {
    const formOf = (opset: number) => {
      const { nodes, initializers } = forOpset(reductions(), opset);
      const form = nodes.map(({ type, inputs, attributes }) => [type, inputs.length, attributes.axes?.value]);
      return { form: Object.fromEntries(form.map(([type, ...rest]) => [type, rest])), constants: initializers.length };
    };
    const input = [2, undefined];
    const attribute = [1, [1]];
    expect(formOf(18)).toMatchObject({ form: { ReduceSum: input, ReduceMax: input, Squeeze: input }, constants: 1 });
    expect(formOf(17)).toMatchObject({
      form: { ReduceSum: input, ReduceMax: attribute, Squeeze: input },
      constants: 1,
    });
    expect(formOf(12)).toMatchObject({ form: { ReduceSum: attribute, Squeeze: attribute }, constants: 0 });
  });

  it('are refused where they cannot be had', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['rows', 2]);
    graph.output('open', greaterOrEqual(x, graph.scalar(0)));
    graph.output('best', argMax(x));
    const message = 'operator GreaterOrEqual: operator set 12 or later, got 11';
    expect(() => forOpset(lowerGraph(graph), 11)).toThrow(message);
    expect(forOpset(lowerGraph(graph), 12).nodes).toHaveLength(2);
    graph.output('other', exp(x));
    expect(() => forOpset(lowerGraph(graph), 18)).toThrow('operator Exp: an operator with a plain form, got 18');
  });
});
