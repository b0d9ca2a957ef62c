/** @file One layer's gated hook as nodes for a foreign ONNX file. */
import { type HookLayer, hookFeeds, type KeyGateKind, keyHookedOutput } from '../../editing/index.js';
import {
  dtypeCode,
  forOpset,
  Graph,
  lowerGraph,
  type OnnxFileNode,
  type OnnxInitializer,
  type OnnxModel,
  type OnnxNode,
  type OnnxPort,
  squeeze,
} from '../../graph/index.js';
import { type Dtype, tensor } from '../../tensor/index.js';
import type { OnnxSite } from './onnx-down-projection.js';

/** What a hook adds to a file. */
export interface OnnxHook {
  /** The name that the down-projection's own result gets. */
  readonly unhooked: string;
  /** In order. One of them makes the value under the name of the site's output. */
  readonly nodes: readonly OnnxFileNode[];
  readonly initializers: readonly OnnxInitializer[];
  /** The signals, if requested: [rows] each, where rows are all places of the batch, end to end. */
  readonly outputs: readonly OnnxPort[];
}

/** The hook, and the place in the file that it is made for. */
export interface OnnxHookRequest {
  readonly site: OnnxSite;
  readonly hook: HookLayer;
  readonly gate: KeyGateKind;
  readonly dModel: number;
  /** Of the file. */
  readonly opset: number;
  readonly hasSignals: boolean;
}

/** Names of signals among the outputs of a patched file begin with it: `hookline.open.3`. */
export const signalPrefix = 'hookline.';

/**
 * The hook as plain operators of ai.onnx, with its parts as constants. It computes in float32 on rows. Values of
 * another element type or with more axes are converted to that and back, which changes no bit where the gate is closed.
 *
 * @throws {InvalidInputError} if the operator set lacks an operator
 */
export function onnxHook(request: OnnxHookRequest): OnnxHook {
  const { site, hook, gate, dModel, opset } = request;
  const lowered = forOpset(lowerGraph(hookGraph(request)), opset);
  const inside = insideNames(site.layer, lowered);
  const frame = frameOf(site, inside, { dInner: hook.dInner, dModel });
  const nodes = [...frame.before, ...lowered.nodes.map((node) => renamed(node, inside)), ...frame.after];
  const parts = Object.entries(hookFeeds([hook], gate, dModel)).map(([name, content]) => ({ name, content }));
  const constants = [...lowered.initializers, ...parts].map((one) => ({ ...one, name: inside(one.name) }));
  const signals = lowered.outputs.filter(({ name }) => name !== 'hooked');
  return {
    unhooked: frame.unhooked,
    nodes: nodes.map((node, index) => ({ ...node, name: inside(`${node.type}_${index}`) })),
    initializers: [...constants, ...frame.initializers],
    outputs: signals.map((port) => ({ ...port, name: inside(port.name), shape: ['hookline_rows'] })),
  };
}

/** From a name in the hook's graph to the name in the file: `hookline/<layer>/<name>`, or that of a signal. */
type InsideNames = (name: string) => string;

function insideNames(layer: number, { outputs }: OnnxModel): InsideNames {
  const signals = outputs.flatMap(({ name }) => (name === 'hooked' ? [] : [name]));
  return (name) =>
    signals.includes(name)
      ? `${signalPrefix}${name}.${layer}`
      : `hookline/${layer}/${name.replace(/^(%|hook\.\d+\.)/, '')}`;
}

function renamed(node: OnnxNode, names: InsideNames): OnnxNode {
  return { ...node, inputs: node.inputs.map(names), outputs: node.outputs.map(names) };
}

function hookGraph({ hook: { layer, dInner }, gate, dModel, hasSignals }: OnnxHookRequest): Graph {
  const graph = new Graph();
  const keys = graph.input('keys', 'float32', ['rows', dInner]);
  const output = graph.input('output', 'float32', ['rows', dModel]);
  const { hooked, signals } = keyHookedOutput(layer, gate, keys, output);
  graph.output('hooked', hooked);
  if (!hasSignals) return graph;
  const { open, strength, edit } = signals;
  graph.output('open', squeeze(open, [1]));
  if (strength) graph.output('strength', squeeze(strength, [1]));
  if (edit) graph.output('edit', edit);
  return graph;
}

/** The nodes that convert a file's values to the rows of the hook and back. */
interface Frame extends Pick<OnnxModel, 'initializers'> {
  readonly unhooked: string;
  readonly before: readonly OnnxNode[];
  readonly after: readonly OnnxNode[];
}

/**
 * Halves are cast to float32 first, and back last. So runtimes that compute halves in float32 can still remove the
 * casts where two meet.
 */
function frameOf(
  { keys, output, dtype }: OnnxSite,
  inside: InsideNames,
  { dInner, dModel }: { readonly dInner: number; readonly dModel: number },
): Frame {
  const unhooked = `${output}/unhooked`;
  const inFloat32 = (name: string, wideName: string) => (dtype === 'float32' ? name : inside(wideName));
  const wideKeys = inFloat32(keys, 'wideKeys');
  const wideOutput = inFloat32(unhooked, 'wideOutput');
  const wideHooked = inFloat32(output, 'wideHooked');
  const [keysShape, outputShape, shape] = ['keysShape', 'outputShape', 'shape'].map(inside) as [string, string, string];
  return {
    unhooked,
    before: [
      ...castNode(keys, wideKeys, 'float32'),
      ...castNode(unhooked, wideOutput, 'float32'),
      node('Reshape', [wideKeys, keysShape], inside('keys')),
      node('Reshape', [wideOutput, outputShape], inside('output')),
      node('Shape', [wideOutput], shape),
    ],
    after: [node('Reshape', [inside('hooked'), shape], wideHooked), ...castNode(wideHooked, output, dtype)],
    initializers: [rowShape(keysShape, dInner), rowShape(outputShape, dModel)],
  };
}

/** The shape of any number of rows of this width. */
function rowShape(name: string, width: number): OnnxInitializer {
  return { name, content: tensor('int64', [2], BigInt64Array.of(-1n, BigInt(width))) };
}

/** No node if there is nothing to cast. */
function castNode(from: string, to: string, dtype: Dtype): OnnxNode[] {
  if (from === to) return [];
  return [{ ...node('Cast', [from], to), attributes: { to: { kind: 'int', value: dtypeCode(dtype) } } }];
}

function node(type: string, inputs: readonly string[], output: string): OnnxNode {
  return { type, domain: '', inputs, outputs: [output], attributes: {} };
}
