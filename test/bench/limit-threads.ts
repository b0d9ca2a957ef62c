import { InferenceSession } from 'onnxruntime-node';

/**
 * Lets every operator of this process run on so many threads: on a machine that is busy with other things, two threads wait
 * for each other most of the time, and a clock that counts their waiting says little.
 */
export function limitThreads(threads: number): void {
  const create = InferenceSession.create.bind(InferenceSession) as (
    model: Uint8Array,
    options: InferenceSession.SessionOptions,
  ) => Promise<InferenceSession>;
  const limited = (model: Uint8Array, options: InferenceSession.SessionOptions = {}) =>
    create(model, { ...options, intraOpNumThreads: threads });
  Object.assign(InferenceSession, { create: limited });
}
