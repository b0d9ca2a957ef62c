/** @file Weights of two bytes stay as they are in their file, and are widened for the product that reads them. */
import { bytesPerElement, elementCount, type TensorLocation, tensor } from '../tensor/index.js';
import type { OnnxInitializer, OnnxModel, OnnxNode } from './lower.js';
import { int } from './operator.js';

/** Bytes of a weight that is so small that it is widened when the model is compiled in any case. */
const smallBytes = 2 ** 18;

/** A stored weight and the cast that widens it. */
interface Widening {
  readonly weight: OnnxInitializer;
  readonly cast: OnnxNode;
}

/**
 * The same model, in which each node that reads a widened weight widens it itself. ONNX Runtime would compute what has no input
 * once, when it compiles, and hold it: a weight in four bytes for each in two. And where it may not, it would widen all weights
 * before anything else runs. So here the shape that a weight is taken in depends on what the node reads beside it, by adding
 * nothing to it: a weight is widened when that is there, and forgotten after the node. If the next node that reads a weight reads
 * the same one, as with the vocabulary at the turn from forward to backward pass, both read one copy.
 *
 * @param mostHeldBytes what the widened checkpoint may take for ONNX Runtime to widen and hold the weights; then the model stays
 *   as it is. It is that of the checkpoint, because a process holds the programs of several graphs.
 */
export function widenAtUse(model: OnnxModel, mostHeldBytes: number): OnnxModel {
  const widenings = wideningsOf(model);
  if (widenedBytes([...widenings.values()].map(({ weight }) => weight)) <= mostHeldBytes) return model;
  const fixed = new Set([...model.initializers.map(({ name }) => name), ...widenings.keys()]);
  const integers = new Map<string, readonly number[]>();
  const constant = (vector: readonly number[]) => {
    const name = `%[${vector}]`;
    integers.set(name, vector);
    return name;
  };
  const uses = new Set(model.outputs.map(({ name }) => name));
  const nothings = new Set<string>();
  let latest: { readonly of: string; readonly name: string } | undefined;
  const nodes = model.nodes.flatMap((node): readonly OnnxNode[] => {
    if (widenings.has(node.outputs[0]) || !node.inputs.some((input) => widenings.has(input))) return [node];
    const gathered = node.type === 'Gather' ? widenings.get(node.inputs[0]) : undefined;
    if (gathered !== undefined) return castAfter(node, gathered);
    const beside = node.inputs.find((input) => !fixed.has(input));
    if (beside === undefined) {
      for (const input of node.inputs) uses.add(input);
      return [node];
    }
    const before: OnnxNode[] = [];
    const nothing = `%nothing of ${beside}`;
    if (!nothings.has(nothing)) {
      nothings.add(nothing);
      const length = `%length of ${beside}`;
      before.push(
        plain('Shape', [beside], length, { start: int(0), end: int(1) }),
        plain('Mul', [length, constant([0])], nothing),
      );
    }
    const inputs = node.inputs.map((input) => {
      const widening = widenings.get(input);
      if (widening === undefined) return input;
      if (latest?.of === input) return latest.name;
      const { weight, cast } = widening;
      const [shape, stored, wide] = ['shape', 'stored', 'wide'].map(
        (what) => `%${what} ${input} for ${node.outputs[0]}`,
      );
      before.push(
        plain('Add', [constant(weight.content.shape), nothing], shape),
        plain('Reshape', [weight.name, shape], stored),
        { ...cast, inputs: [stored], outputs: [wide] },
      );
      latest = { of: input, name: wide };
      return wide;
    });
    return [...before, { ...node, inputs }];
  });
  const known = new Set(model.initializers.map(({ name }) => name));
  const added = [...integers].filter(([name]) => !known.has(name));
  return {
    ...model,
    nodes: nodes.filter(({ outputs: [output] }) => !widenings.has(output) || uses.has(output)),
    initializers: [
      ...model.initializers,
      ...added.map(([name, vector]) => ({
        name,
        content: tensor('int64', [vector.length], BigInt64Array.from(vector, BigInt)),
      })),
    ],
  };
}

/** The casts of large stored weights, by the names of their results. */
function wideningsOf({ nodes, initializers }: OnnxModel): ReadonlyMap<string, Widening> {
  const weights = new Map(initializers.filter(isLargeAndStored).map((weight) => [weight.name, weight]));
  return new Map(
    nodes.flatMap((cast) => {
      const weight = cast.type === 'Cast' ? weights.get(cast.inputs[0]) : undefined;
      return weight === undefined ? [] : [[cast.outputs[0], { weight, cast }] as const];
    }),
  );
}

const isLargeAndStored = (initializer: OnnxInitializer): boolean =>
  'file' in initializer.content && wideBytes(initializer) > smallBytes;

const wideBytes = ({ content }: OnnxInitializer): number => elementCount(content.shape) * bytesPerElement('float32');

/** Bytes of the widened checkpoint, or of the weights themselves if they were opened without one. */
function widenedBytes(weights: readonly OnnxInitializer[]): number {
  const own = weights.reduce((sum, weight) => sum + wideBytes(weight), 0);
  const checkpoints = weights.map(({ content }) => {
    const { dtype, checkpointBytes = 0 } = content as TensorLocation;
    return (checkpointBytes * bytesPerElement('float32')) / bytesPerElement(dtype);
  });
  return Math.max(own, ...checkpoints);
}

/** Rows of a weight are taken as they are stored, and then widened. */
function castAfter(gather: OnnxNode, { weight, cast }: Widening): readonly OnnxNode[] {
  const stored = `%stored ${gather.outputs[0]}`;
  return [
    { ...gather, inputs: [weight.name, ...gather.inputs.slice(1)], outputs: [stored] },
    { ...cast, inputs: [stored], outputs: gather.outputs },
  ];
}

const plain = (
  type: string,
  inputs: readonly string[],
  output: string,
  attributes: OnnxNode['attributes'] = {},
): OnnxNode => ({ type, domain: '', inputs, outputs: [output], attributes });
