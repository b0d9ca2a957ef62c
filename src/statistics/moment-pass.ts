/**
 * @file One pass over a corpus that sums the key moments (covariances of keys) of several layers, resumable at any
 *   batch.
 */

import { z } from 'zod';
import { batchByRows, emptyMomentSums, KeyMomentProgram, type KeyMomentSums } from '../editing/index.js';
import { MalformedFileError } from '../errors.js';
import { matrix } from '../linalg/index.js';
import type { Model } from '../model/index.js';
import type { Listener } from '../progress.js';
import type { ObjectStore } from '../registry/index.js';
import { getIfPresent } from '../registry/index.js';
import type { Device } from '../runtime/index.js';
import { decodeSealed, encodeSealed, packLower, unpackLower } from './sealed-tensors.js';

/** A pass over a corpus, and the key of its checkpoint. */
export interface MomentPass {
  readonly model: Model;
  readonly layers: readonly number[];
  readonly sequences: readonly (readonly number[])[];
  readonly rowsPerBatch: number;
  readonly device?: Device | undefined;
  readonly store: ObjectStore;
  /** Key of the object of unfinished sums. It names everything that the sums depend on. */
  readonly checkpointKey: string;
  readonly checkpointSeconds: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: Listener['onProgress'] | undefined;
}

/** Sums over the first sequences of a pass. */
export interface Checkpoint {
  readonly sums: KeyMomentSums;
  readonly sequencesDone: number;
}

/**
 * `Σ_t k_t k_tᵀ` of every layer over all sequences. A stopped pass goes on from its last checkpoint with the same
 * batches, so its sums are the same bits as those of an undisturbed pass. The caller removes the last checkpoint.
 *
 * @throws the signal's reason once it is aborted, after a checkpoint
 * @throws {DigestMismatchError | MalformedFileError} if the checkpoint is damaged
 */
export async function sumKeyMoments(pass: MomentPass): Promise<KeyMomentSums> {
  const { model, layers, sequences } = pass;
  const start = (await readCheckpoint(pass)) ?? {
    sums: emptyMomentSums(layers, model.config.dInner),
    sequencesDone: 0,
  };
  if (start.sequencesDone === sequences.length) return start.sums;
  pass.signal?.throwIfAborted();
  const program = await KeyMomentProgram.compile(model, layers, pass.device);
  try {
    await addRemaining(pass, program, start);
  } finally {
    await program.dispose();
  }
  return start.sums;
}

async function addRemaining(pass: MomentPass, program: KeyMomentProgram, start: Checkpoint): Promise<void> {
  const { sums } = start;
  let { sequencesDone } = start;
  const total = pass.sequences.reduce((count, sequence) => count + sequence.length, 0);
  const report = () => pass.onProgress?.({ stage: 'statistics', done: sums.tokens, total, unit: 'tokens' });
  const batches = batchByRows(pass.sequences.slice(sequencesDone), (ids) => ids.length, pass.rowsPerBatch);
  let savedAt = performance.now();
  report();
  for (const batch of batches) {
    await program.add(batch, sums);
    sequencesDone += batch.length;
    const isLast = sequencesDone === pass.sequences.length;
    const isAborted = pass.signal?.aborted ?? false;
    if (isLast || isAborted || performance.now() - savedAt >= pass.checkpointSeconds * 1000) {
      await pass.store.put(pass.checkpointKey, encodeSums({ sums, sequencesDone }));
      savedAt = performance.now();
    }
    pass.signal?.throwIfAborted();
    report();
  }
}

/** The unfinished sums, or undefined if there are none for all of these layers. */
async function readCheckpoint(pass: MomentPass): Promise<Checkpoint | undefined> {
  const { store, checkpointKey, model, layers, sequences } = pass;
  const bytes = await getIfPresent(store, checkpointKey);
  const found = bytes && decodeSums(bytes, checkpointKey, layers, model.config.dInner);
  if (found && found.sequencesDone > sequences.length) {
    const got = `${found.sequencesDone} sequences`;
    throw new MalformedFileError(checkpointKey, `a place in ${sequences.length} sequences`, got);
  }
  return found;
}

const metadataSchema = z.looseObject({
  sequencesDone: z.coerce.number().int().nonnegative(),
  tokens: z.coerce.number().int().nonnegative(),
});

/** Sums as one sealed file, exact. */
export function encodeSums({ sums: { sums, tokens }, sequencesDone }: Checkpoint): Uint8Array {
  const tensors = Array.from(sums, ([layer, data]) => {
    const size = Math.sqrt(data.length);
    return [`sum.${layer}`, packLower(matrix(size, size, data))] as const;
  });
  return encodeSealed(new Map(tensors), { sequencesDone: String(sequencesDone), tokens: String(tokens) });
}

/**
 * Undoes {@link encodeSums}. Gives the lower triangle of the sums, or undefined if one of these layers is missing.
 *
 * @param what the file's name for messages
 * @throws {DigestMismatchError | MalformedFileError} if the file is damaged
 */
export function decodeSums(
  bytes: Uint8Array,
  what: string,
  layers: readonly number[],
  dInner: number,
): Checkpoint | undefined {
  const { metadata, tensors } = decodeSealed(bytes, what);
  const parsed = metadataSchema.safeParse(metadata);
  if (!parsed.success) throw new MalformedFileError(what, 'sums of key moments', JSON.stringify(metadata));
  if (!layers.every((layer) => tensors.has(`sum.${layer}`))) return undefined;
  const sumOf = (layer: number) => unpackLower(tensors.get(`sum.${layer}`), dInner, what).data;
  const { sequencesDone, tokens } = parsed.data;
  return { sequencesDone, sums: { tokens, sums: new Map(layers.map((layer) => [layer, sumOf(layer)])) } };
}
