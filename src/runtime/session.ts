/** @file Makes every session: quiet, because errors are thrown anyway, and with threads that do not spin. */
import type { InferenceSession } from 'onnxruntime-common';
import { loadOnnxRuntime } from './onnx-runtime.js';

const FATAL = 4;

/**
 * Threads that wait for the next operator sleep. By default they spin, in every session of the process at once, on the
 * cores that JavaScript and the working session need, which slows both, see docs/results.md.
 */
const threadsSleep = { intra_op: { allow_spinning: '0' } };

/** Loads a model from bytes, or from the file of that path. */
export async function createSession(
  model: Uint8Array | string,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  const { env, InferenceSession } = await loadOnnxRuntime();
  // ONNX Runtime reads it once, when the process makes its first session.
  env.logLevel = 'fatal';
  const { session, ...extra } = (options.extra ?? {}) as { readonly session?: Readonly<Record<string, unknown>> };
  const used = {
    ...options,
    logSeverityLevel: FATAL,
    extra: { ...extra, session: { ...session, ...threadsSleep } },
  } as const;
  return typeof model === 'string' ? InferenceSession.create(model, used) : InferenceSession.create(model, used);
}
