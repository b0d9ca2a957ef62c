/** @file The bundled model with a few edits of its first batch, and key statistics of few tokens. */

import { join } from 'node:path';
import { defaultMemoryBudgetBytes, type Edit } from '../../src/editing/index.js';
import { readBatch } from '../../src/evaluation/index.js';
import { loadModel, loadTokenizer, type Model, modelDigest, type Tokenizer } from '../../src/model/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import { cpu, OnnxGemmEngine } from '../../src/runtime/index.js';
import { corpusSequences } from '../../src/statistics/corpus-sequences.js';
import { ensureStatistics } from '../../src/statistics/statistics.js';

const aldermark = (...parts: string[]) => join(import.meta.dirname, '../../examples/aldermark', ...parts);

/** What editing needs, with a store that knows the statistics of layer 0. */
export class BundledModel {
  readonly modelId = 'aldermark';
  readonly modelDirectory = aldermark('model');
  readonly corpusPath = aldermark('corpus.txt');
  readonly device = cpu;
  readonly memoryBudgetBytes = defaultMemoryBudgetBytes;

  private constructor(
    readonly store: MemoryObjectStore,
    readonly model: Model,
    readonly tokenizer: Tokenizer,
    readonly edits: readonly Edit[],
    /** Few, of ordinary text. */
    readonly heldOut: readonly (readonly number[])[],
  ) {}

  static async open(editCount: number): Promise<BundledModel> {
    const model = await loadModel(aldermark('model'));
    const tokenizer = await loadTokenizer(model.directory);
    const { edits } = await readBatch(aldermark('batches/round-1.jsonl'), { limit: editCount });
    const limits = { maxTokens: 200, sequenceTokens: 64 };
    const heldOut = await corpusSequences(aldermark('heldout.txt'), tokenizer, limits);
    const opened = new BundledModel(new MemoryObjectStore(), model, tokenizer, edits, heldOut);
    await opened.#computeStatistics();
    return opened;
  }

  async #computeStatistics(): Promise<void> {
    const { store, modelId, model, tokenizer, corpusPath } = this;
    const engine = new OnnxGemmEngine();
    await ensureStatistics({
      store,
      modelId,
      model,
      modelDigest: await modelDigest(model),
      tokenizer,
      engine,
      layers: [0],
      corpus: { path: corpusPath },
      maxTokens: 1500,
      seed: 0,
    });
    await engine.dispose();
  }
}
