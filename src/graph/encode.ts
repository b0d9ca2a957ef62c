/** @file ONNX models as protobuf bytes and back. `onnx-file.ts` does the same for files of other exporters. */
import { basename, dirname } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  TensorShapeProto_DimensionSchema as DimensionSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { InvalidInputError, PermanentError } from '../errors.js';
import { type Tensor, type TensorLocation, tensorBytes, tensorFromBytes } from '../tensor/index.js';
import type { Dim } from './dim.js';
import { dtypeCode, dtypeOfCode } from './dtype-code.js';
import type { Graph } from './graph.js';
import { lowerGraph, type OnnxInitializer, type OnnxModel, type OnnxNode, type OnnxPort } from './lower.js';
import { float, int, ints, type OnnxAttribute, text } from './operator.js';
import { widenAtUse } from './widen-at-use.js';

const IR_VERSION = 10n;
const OPSETS = { '': 21n, 'com.microsoft': 1n };

/** A model's bytes, and the folder that its weights lie in. */
export interface EncodedGraph {
  readonly bytes: Uint8Array;
  /** Absolute; left out if the graph has no weights. */
  readonly weightsFolder?: string;
  /** What a run must be fed, in order of declaration. */
  readonly inputs: readonly OnnxPort[];
}

/** As `encodeGraph` of the face says, which loads this file. */
export function encodeGraph(graph: Graph, mostHeldBytes = Number.POSITIVE_INFINITY): EncodedGraph {
  if (graph.outputs.size === 0) throw new InvalidInputError('graph', 'at least one output', 'none');
  const model = widenAtUse(lowerGraph(graph), mostHeldBytes);
  const weightsFolder = commonFolder(model.initializers);
  return { bytes: encodeModel(model), inputs: model.inputs, ...(weightsFolder !== undefined && { weightsFolder }) };
}

function commonFolder(initializers: readonly OnnxInitializer[]): string | undefined {
  const files = initializers.flatMap(({ content }) => ('file' in content ? [content.file] : []));
  const folders = [...new Set(files.map(dirname))];
  if (folders.length > 1) {
    throw new PermanentError(`weights of a graph: files in one folder, got ${folders.sort().join(' and ')}`);
  }
  return folders[0];
}

/** Writes a plain model as protobuf bytes. */
export function encodeModel(model: OnnxModel): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: 'hookline',
    node: model.nodes.map(encodeNode),
    initializer: model.initializers.map(encodeInitializer),
    input: model.inputs.map(encodePort),
    output: model.outputs.map(encodePort),
  });
  const opsetImport = Object.entries(OPSETS).map(([domain, version]) =>
    create(OperatorSetIdProtoSchema, { domain, version }),
  );
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: IR_VERSION, opsetImport, graph }));
}

/** One node as a protobuf message. */
export function encodeNode({ type, domain, inputs, outputs, attributes }: OnnxNode): NodeProto {
  const attribute = Object.entries(attributes).map(([name, value]) => encodeAttribute(name, value));
  return create(NodeProtoSchema, { opType: type, domain, input: [...inputs], output: [...outputs], attribute });
}

function encodeAttribute(name: string, attribute: OnnxAttribute): AttributeProto {
  switch (attribute.kind) {
    case 'int':
      return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(attribute.value) });
    case 'ints':
      return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: attribute.value.map(BigInt) });
    case 'float':
      return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: attribute.value });
    case 'text':
      return create(AttributeProtoSchema, {
        name,
        type: AttributeType.STRING,
        s: new Uint8Array(new TextEncoder().encode(attribute.value)),
      });
  }
}

/** One input or output as a protobuf message. */
export function encodePort({ name, dtype, shape }: OnnxPort): ValueInfoProto {
  const value = create(TypeProto_TensorSchema, { elemType: dtypeCode(dtype), shape: encodeShape(shape) });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value } }),
  });
}

function encodeShape(shape: readonly Dim[]) {
  return create(TensorShapeProtoSchema, {
    dim: shape.map((dim) =>
      create(DimensionSchema, {
        value: typeof dim === 'number' ? { case: 'dimValue', value: BigInt(dim) } : { case: 'dimParam', value: dim },
      }),
    ),
  });
}

/** One constant as a protobuf message; a location becomes external data in the file of that name. */
export function encodeInitializer({ name, content }: OnnxInitializer): TensorProto {
  const shared = { name, dims: content.shape.map(BigInt), dataType: dtypeCode(content.dtype) };
  if (!('file' in content))
    return create(TensorProtoSchema, { ...shared, rawData: new Uint8Array(tensorBytes(content)) });
  const entries = { location: basename(content.file), offset: content.offsetBytes, length: content.sizeBytes };
  return create(TensorProtoSchema, {
    ...shared,
    dataLocation: DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value: String(value) }),
    ),
  });
}

/**
 * Reads back what {@link encodeModel} wrote; external weights get `weightsFolder` before their file name.
 *
 * @throws {InvalidInputError} if the model uses something that this project never writes
 */
export function decodeModel(bytes: Uint8Array, weightsFolder = ''): OnnxModel {
  const { graph } = fromBinary(ModelProtoSchema, bytes);
  if (graph === undefined) throw new InvalidInputError('ONNX model', 'a graph', 'none');
  return {
    inputs: graph.input.map(decodePort),
    outputs: graph.output.map(decodePort),
    nodes: graph.node.map(decodeNode),
    initializers: graph.initializer.map((initializer) => ({
      name: initializer.name,
      content: decodeInitializer(initializer, weightsFolder),
    })),
  };
}

function decodePort({ name, type }: ValueInfoProto): OnnxPort {
  if (type?.value.case !== 'tensorType')
    throw new InvalidInputError(`port ${name}`, 'a tensor', String(type?.value.case));
  const { elemType, shape } = type.value.value;
  const dims = (shape?.dim ?? []).map(({ value }) => (value.case === 'dimParam' ? value.value : Number(value.value)));
  return { name, dtype: dtypeOfCode(elemType), shape: dims };
}

type NodeFields = Pick<NodeProto, 'opType' | 'domain' | 'input' | 'output' | 'attribute'>;

/** @throws {InvalidInputError} if an attribute is of a kind that this project never writes */
export function decodeNode({ opType, domain, input, output, attribute }: NodeFields): OnnxNode {
  const attributes = Object.fromEntries(attribute.map((one) => [one.name, decodeAttribute(one)]));
  return { type: opType, domain, inputs: input, outputs: output, attributes };
}

function decodeAttribute(attribute: AttributeProto): OnnxAttribute {
  switch (attribute.type) {
    case AttributeType.INT:
      return int(Number(attribute.i));
    case AttributeType.INTS:
      return ints(attribute.ints.map(Number));
    case AttributeType.FLOAT:
      return float(attribute.f);
    case AttributeType.STRING:
      return text(new TextDecoder().decode(attribute.s));
    default:
      throw new InvalidInputError(`attribute ${attribute.name}`, 'int, ints, float or string', String(attribute.type));
  }
}

function decodeInitializer(proto: TensorProto, weightsFolder: string): Tensor | TensorLocation {
  const dtype = dtypeOfCode(proto.dataType);
  const shape = proto.dims.map(Number);
  if (proto.dataLocation !== DataLocation.EXTERNAL) return tensorFromBytes(dtype, shape, proto.rawData);
  const { location, offset, length } = Object.fromEntries(proto.externalData.map(({ key, value }) => [key, value]));
  const file = `${weightsFolder}/${location}`;
  return { file, dtype, shape, offsetBytes: Number(offset), sizeBytes: Number(length) };
}
