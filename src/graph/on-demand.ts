/** @file What needs the protobuf library, which is loaded when the first graph is encoded or the first file opened. */
import type { EncodedGraph } from './encode.js';
import type { Graph } from './graph.js';
import type { OnnxFile } from './onnx-file.js';

/**
 * Encodes the part of a graph that its outputs need as an ONNX model. Weights are not copied: the model says file, offset and
 * length.
 *
 * @param mostHeldBytes what a checkpoint may take in the graph's float dtype for its weights to be widened once, and held; if it is
 *   more, each is widened where it is used. Without it they are always held.
 * @throws {PermanentError} if the weights do not all lie in one folder
 * @throws {InvalidInputError} if there is no output
 */
export async function encodeGraph(graph: Graph, mostHeldBytes?: number): Promise<EncodedGraph> {
  const { encodeGraph: encode } = await import('./encode.js');
  return encode(graph, mostHeldBytes);
}

/**
 * Reads a model; external data stays where it is until it is asked for.
 *
 * @throws {InvalidInputError} if there is no such file, or it is too large @throws {MalformedFileError} if it is not an ONNX model
 */
export async function openOnnxFile(path: string): Promise<OnnxFile> {
  const { OnnxFile } = await import('./onnx-file.js');
  return OnnxFile.open(path);
}
