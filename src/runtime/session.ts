/** @file How sessions are made: quietly, because every error that ONNX Runtime would print is thrown as well. */
import { env, InferenceSession } from 'onnxruntime-node';

const FATAL = 4;

/** Loads a model from bytes, or from the file of that path. */
export function createSession(
  model: Uint8Array | string,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  // Read once, when the first session of the process is made.
  env.logLevel = 'fatal';
  const quiet = { ...options, logSeverityLevel: FATAL } as const;
  return typeof model === 'string' ? InferenceSession.create(model, quiet) : InferenceSession.create(model, quiet);
}
