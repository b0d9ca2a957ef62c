/** @file How every session is made: quietly, because all errors that ONNX Runtime would print are thrown, and without spinning. */
import type { InferenceSession } from 'onnxruntime-common';
import { loadOnnxRuntime } from './onnx-runtime.js';

const FATAL = 4;

/**
 * Threads that wait for the next operator sleep. By default they spin, in every session of the process at once, on the cores that
 * JavaScript and the session at work need: measured on two cores, statistics and a 135M model's decoding took 1.5 times as long.
 */
const threadsSleep = { intra_op: { allow_spinning: '0' } };

/** Loads a model from bytes, or from the file of that path. */
export async function createSession(
  model: Uint8Array | string,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  const { env, InferenceSession } = await loadOnnxRuntime();
  // Read once, when the first session of the process is made.
  env.logLevel = 'fatal';
  const { session, ...extra } = (options.extra ?? {}) as { readonly session?: Readonly<Record<string, unknown>> };
  const used = {
    ...options,
    logSeverityLevel: FATAL,
    extra: { ...extra, session: { ...session, ...threadsSleep } },
  } as const;
  return typeof model === 'string' ? InferenceSession.create(model, used) : InferenceSession.create(model, used);
}
