/** @file What all peers need of a model and a text: contexts and key moments, kept from run to run. */
import { type Matrix, PlainGemmEngine } from '../../../src/linalg/index.js';
import { type Model, modelDigest, type Tokenizer } from '../../../src/model/index.js';
import type { ObjectStore } from '../../../src/registry/index.js';
import { contextTemplates } from '../../../src/rounds/context-templates.js';
import { HookableModel } from '../../../src/serving/index.js';
import { checkpointKeyOf, inputsOf } from '../../../src/statistics/statistics-request.js';
import { ensureMoments } from '../../../src/statistics/stored-moments.js';

/** Of what, and where it is kept. */
export interface PreparationRequest {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly store: ObjectStore;
  readonly modelId: string;
  /** Layers whose moments are wanted. */
  readonly layers: readonly number[];
  /** Text for key statistics: the same tokens of it are read as for ours. */
  readonly corpus: string;
  readonly contextTokens: number;
}

/** The contexts of plain text that our own method teaches in, and `C0` by layer, as its lower triangle. */
export async function prepare(
  request: PreparationRequest,
): Promise<{ readonly contexts: readonly string[]; readonly moments: ReadonlyMap<number, Matrix> }> {
  const { model, corpus: path, layers } = request;
  const place = { ...request, modelDigest: await modelDigest(model), seed: 0 };
  const edited = await HookableModel.compile(model, { layers: [], gate: 'none' });
  const contexts = await contextTemplates({ ...place, edited, chatContexts: false });
  await edited.dispose();
  const statistics = { ...place, corpus: { path }, engine: new PlainGemmEngine() };
  const inputs = await inputsOf(statistics, path);
  const moments = await ensureMoments(statistics, inputs, path, checkpointKeyOf(statistics, inputs));
  return {
    contexts: contexts.map(({ template }) => template),
    moments: new Map(layers.map((layer, i) => [layer, moments[i].mean])),
  };
}
