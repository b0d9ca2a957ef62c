/** @file Model files of any exporter: looked at, added to, and written back with all that this project does not know of. */
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  StringStringEntryProtoSchema,
  type TensorProto,
} from 'onnx-buf';
import { InvalidInputError, MalformedFileError } from '../errors.js';
import type { Dtype, Tensor } from '../tensor/index.js';
import { knownDtype } from './dtype-code.js';
import { decodeNode, encodeInitializer, encodeNode, encodePort } from './encode.js';
import type { OnnxInitializer, OnnxNode, OnnxPort } from './lower.js';
import { externalLocation, readStored } from './stored-tensor.js';

/** A node of a file, with those of its attributes that are numbers or texts. */
export interface OnnxFileNode extends OnnxNode {
  readonly name: string;
}

/** A constant of a file: an initialiser, or what a `Constant` node holds. */
export interface OnnxConstant {
  readonly name: string;
  /** Undefined: an element type that the project does not have, such as 4-bit integers. */
  readonly dtype: Dtype | undefined;
  readonly shape: readonly number[];
}

/** Protobuf cannot hold more. */
const largestBytes = 2 ** 31 - 1;

const plainAttributes = [AttributeType.INT, AttributeType.INTS, AttributeType.FLOAT, AttributeType.STRING];

/**
 * An ONNX model as somebody exported it. It is held as the protobuf messages it is made of, so that what is only passed
 * through (attributes, subgraphs, functions, fields of later releases) is written back as it was read. Nodes and constants
 * are those of the main graph.
 */
export class OnnxFile {
  readonly #constants: ReadonlyMap<string, TensorProto>;
  readonly #model: ModelProto;
  readonly #graph: GraphProto;

  private constructor(
    /** Absolute, its folder without symbolic links. */
    readonly path: string,
    model: ModelProto,
    graph: GraphProto,
  ) {
    this.#model = model;
    this.#graph = graph;
    this.#constants = constantsOf(graph);
  }

  /** As `openOnnxFile` of the face says, which loads this file. */
  static async open(path: string): Promise<OnnxFile> {
    const file = await placeOf(path);
    const model = parse(await contentOf(file), file);
    if (model.graph === undefined) throw new MalformedFileError(file, 'an ONNX model with a graph', 'none');
    return new OnnxFile(file, model, model.graph);
  }

  /**
   * The version of the standard operators that the file speaks.
   *
   * @throws {MalformedFileError} if it says none
   */
  get opset(): number {
    const standard = this.#model.opsetImport.find(({ domain }) => isStandard(domain));
    if (standard === undefined) throw new MalformedFileError(this.path, 'an operator set of ai.onnx', 'none');
    return Number(standard.version);
  }

  /** `metadata_props` of the model. */
  get metadata(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#model.metadataProps.map(({ key, value }) => [key, value]));
  }

  get nodes(): readonly OnnxFileNode[] {
    return this.#graph.node.map(viewOf);
  }

  /** Names of the graph's results. */
  get outputs(): readonly string[] {
    return this.#graph.output.map(({ name }) => name);
  }

  /** The types of all operators, those of subgraphs and functions too. */
  get operatorTypes(): ReadonlySet<string> {
    return new Set(this.#allNodes().map(({ opType }) => opType));
  }

  /** Files that hold external data, absolute and each once. */
  get externalFiles(): readonly string[] {
    const graphs = [this.#graph, ...this.#allNodes().flatMap(subgraphsOf)];
    const inGraphs = graphs.flatMap(({ initializer }) => initializer);
    const inNodes = this.#allNodes().flatMap(({ attribute }) => attribute.flatMap(({ t, tensors }) => [t, ...tensors]));
    const tensors = [...inGraphs, ...inNodes].filter((tensor) => tensor !== undefined);
    return [...new Set(tensors.flatMap((tensor) => externalLocation(tensor, this.path)?.file ?? []))];
  }

  /** The constant of this name, or undefined if there is none. */
  constant(name: string): OnnxConstant | undefined {
    const stored = this.#constants.get(name);
    return stored && { name, dtype: knownDtype(stored.dataType), shape: stored.dims.map(Number) };
  }

  /**
   * A constant's elements, from the model or from its external file.
   *
   * @throws {InvalidInputError} if there is no such constant, or its element type is not known
   * @throws {MalformedFileError} if its bytes do not fit its shape or its external file ends too early
   */
  async readConstant(name: string): Promise<Tensor> {
    const stored = this.#constants.get(name);
    if (stored === undefined) throw new InvalidInputError(this.path, `a constant named ${name}`, 'none');
    return readStored(stored, this.path, name);
  }

  /**
   * Puts nodes behind the producer of a value: the producer's result gets another name, and the nodes, one of which has to
   * make a value of the old name, stand right after it, so that the list stays sorted.
   *
   * @throws {InvalidInputError} if no node of the main graph makes the value
   */
  interpose(value: string, renamed: string, nodes: readonly OnnxFileNode[]): void {
    const index = this.#graph.node.findIndex(({ output }) => output.includes(value));
    const producer = this.#graph.node[index];
    if (producer === undefined) throw new InvalidInputError(this.path, `a node that makes ${value}`, 'none');
    producer.output = producer.output.map((name) => (name === value ? renamed : name));
    this.#graph.node.splice(index + 1, 0, ...nodes.map(encodeNamed));
  }

  addInitializers(initializers: readonly OnnxInitializer[]): void {
    this.#graph.initializer.push(...initializers.map(encodeInitializer));
  }

  addOutputs(outputs: readonly OnnxPort[]): void {
    this.#graph.output.push(...outputs.map(encodePort));
  }

  /** Adds to `metadata_props`. */
  addMetadata(entries: Readonly<Record<string, string>>): void {
    for (const [key, value] of Object.entries(entries)) {
      this.#model.metadataProps.push(create(StringStringEntryProtoSchema, { key, value }));
    }
  }

  /**
   * The model as bytes. Its external data has to lie beside it.
   *
   * @throws {InvalidInputError} if it is larger than a protobuf file can be
   */
  encode(): Uint8Array {
    const bytes = toBinary(ModelProtoSchema, this.#model);
    if (bytes.byteLength <= largestBytes) return bytes;
    throw new InvalidInputError(this.path, 'less than 2 GiB (keep weights as external data)', `${bytes.length} bytes`);
  }

  #allNodes(): NodeProto[] {
    return [...withNested(this.#graph.node), ...this.#model.functions.flatMap(({ node }) => withNested(node))];
  }
}

/** The folder is that of the name, not that of a file which the name links to: external data lies beside the name. */
async function placeOf(path: string): Promise<string> {
  try {
    return join(await realpath(dirname(path)), basename(path));
  } catch (cause) {
    throw new InvalidInputError(path, 'an existing file', String(cause), { cause });
  }
}

async function contentOf(path: string): Promise<Uint8Array> {
  try {
    const { buffer, byteOffset, byteLength } = await readFile(path);
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (cause) {
    throw new InvalidInputError(path, 'a readable file of less than 2 GiB', String(cause), { cause });
  }
}

function parse(bytes: Uint8Array, path: string): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new MalformedFileError(path, 'an ONNX model', String(cause), { cause });
  }
}

function constantsOf({ initializer, node }: GraphProto): ReadonlyMap<string, TensorProto> {
  const inNodes = node.flatMap(({ opType, output, attribute }) => {
    const value = opType === 'Constant' ? attribute.find(({ name }) => name === 'value')?.t : undefined;
    return value === undefined ? [] : [[output[0]!, value] as const];
  });
  return new Map([...initializer.map((tensor) => [tensor.name, tensor] as const), ...inNodes]);
}

function viewOf(proto: NodeProto): OnnxFileNode {
  const { name, opType, domain, input, output } = proto;
  const attribute = proto.attribute.filter(({ type }) => plainAttributes.includes(type));
  const node = { opType, domain: isStandard(domain) ? '' : domain, input, output, attribute };
  return { ...decodeNode(node), name };
}

function encodeNamed(node: OnnxFileNode): NodeProto {
  return Object.assign(encodeNode(node), { name: node.name });
}

const isStandard = (domain: string): boolean => domain === '' || domain === 'ai.onnx';

const subgraphsOf = ({ attribute }: NodeProto): GraphProto[] =>
  attribute.flatMap(({ g, graphs }) => (g ? [g, ...graphs] : graphs));

function withNested(nodes: readonly NodeProto[]): NodeProto[] {
  return nodes.flatMap((node) => [node, ...subgraphsOf(node).flatMap((graph) => withNested(graph.node))]);
}
