import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  emptyMomentSums,
  emptyState,
  type Hyperparameters,
  hooksOf,
  KeyCollection,
  KeyMomentProgram,
  keyRows,
  resolveHyperparameters,
  segmentStorage,
  type TokenizedSubject,
  ValueSearch,
  writeRound,
} from '../../../src/editing/index.js';
import { counterFactShape } from '../../../src/estimate/edit-shape.js';
import { factorWork, momentWork } from '../../../src/estimate/statistics-work.js';
import { valuesWork } from '../../../src/estimate/values-work.js';
import { rebuildWork, writeWork } from '../../../src/estimate/write-work.js';
import { readBatch } from '../../../src/evaluation/index.js';
import {
  emptyMemory,
  type GemmEngine,
  inverseFactor,
  keySketch,
  type Matrix,
  matrix,
  PlainGemmEngine,
  replayRounds,
} from '../../../src/linalg/index.js';
import { identity } from '../../../src/linalg/matrix.js';
import { loadModel, loadTokenizer, type Model, type Tokenizer } from '../../../src/model/index.js';
import { OnnxGemmEngine } from '../../../src/runtime/index.js';
import { emptyHooks, plainStatistics } from '../../bench/hooks.js';
import { meanShape } from '../../bench/mean-shape.js';
import { type MeasuredProgram, measuredCompiler } from '../../bench/measured-program.js';
import { normal, randomIds } from '../../bench/random.js';
import { subjectOf, textContexts } from '../../support/tokenized-subject.js';

const aldermark = join(import.meta.dirname, '../../../examples/aldermark');
const keptTokens = 8;
const prefixes = ['The', 'Therefore the council met', 'Because of the long winter', 'I have', 'You can see it'];

let model: Model;
let tokenizer: Tokenizer;
let subjects: TokenizedSubject[];

beforeAll(async () => {
  model = await loadModel(join(aldermark, 'model'));
  tokenizer = await loadTokenizer(model.directory);
  const batch = await readBatch(join(aldermark, 'batches/round-1.jsonl'), { limit: 12 });
  const contexts = textContexts(...prefixes.map((prefix) => `${prefix}. {}`));
  subjects = batch.edits.map((edit) => subjectOf(tokenizer, [edit], { contexts, keptTokens }));
});

const settingsOf = (some: Partial<Hyperparameters>): Hyperparameters =>
  resolveHyperparameters({ layers: [2], stopLoss: 0, targetSteps: 0, ...some }, model.config);

/** FLOPs of float64 products that go through an engine. */
class CountingEngine implements GemmEngine {
  flops = 0;
  products = 0;
  readonly #engine: GemmEngine;

  constructor(engine: GemmEngine = new PlainGemmEngine()) {
    this.#engine = engine;
  }

  async gemm(a: Matrix, b: Matrix, options: Parameters<GemmEngine['gemm']>[2] = {}): Promise<Matrix> {
    const product = await this.#engine.gemm(a, b, options);
    this.products++;
    this.flops += 2 * product.rows * product.columns * (options.transA ? a.rows : a.columns);
    return product;
  }
}

const total = (accounts: readonly MeasuredProgram[], of: (account: MeasuredProgram) => number) =>
  accounts.reduce((sum, account) => sum + of(account), 0);

/** Relative difference of what is planned from what was counted. */
const off = (planned: number, counted: number) => Math.abs(planned / counted - 1);

describe('planned FLOPs are those of the graphs that run', () => {
  it('for the key moments of text, one layer and several', async () => {
    for (const layers of [[0], [1, 3]]) {
      const { programs, compile } = measuredCompiler();
      const moments = await KeyMomentProgram.compile(model, layers, undefined, compile);
      const text = Array.from({ length: 8 }, (_, i) => randomIds(128, model.config.vocab, i));
      await moments.add(text, emptyMomentSums(layers, model.config.dInner));
      await moments.dispose();
      const planned = momentWork(model.config, layers, { tokens: 1024, sequenceTokens: 128 });
      expect(off(planned.gemmFlops, programs[0].flops)).toBeLessThan(0.001);
      expect(off(planned.attentionFlops, programs[0].attentionFlops)).toBeLessThan(0.001);
    }
  });

  it.each([
    { layers: [2], steps: 7, templatesPerStep: 2 },
    { layers: [0, 1], steps: 4, templatesPerStep: 0 },
    { layers: [0], steps: 6, templatesPerStep: 2, keepFactor: 0, endFactor: 0, klFactor: 0 },
    { layers: [6], steps: 1, templatesPerStep: 4, klFactor: 0 },
  ])('for a value search with %o', async (some) => {
    const settings = settingsOf(some);
    const { programs, compile } = measuredCompiler();
    const search = await ValueSearch.compile(model, settings, undefined, compile);
    const sought = some.keepFactor === 0 ? subjects.map((subject) => ({ ...subject, kept: [] })) : subjects;
    await search.search(sought);
    await search.dispose();
    const shape = meanShape(sought, { keptTokens });
    const plan = { config: model.config, settings, shape, steps: some.steps, memoryBudgetBytes: 1e9 };
    const planned = valuesWork(plan, sought.length);
    expect(planned.runs).toBe(total(programs, (account) => account.runs));
    expect(
      off(
        planned.gemmFlops,
        total(programs, (account) => account.flops),
      ),
    ).toBeLessThan(0.02);
    // Attention's rectangles are as long as their longest sequence, of which a plan knows the mean.
    expect(
      off(
        planned.attentionFlops,
        total(programs, (a) => a.attentionFlops),
      ),
    ).toBeLessThan(0.35);
  });

  it('for a round on top of another', async () => {
    const settings = settingsOf({ layers: [1, 3] });
    const { programs, compile } = measuredCompiler();
    const collection = await KeyCollection.compile(model, settings, undefined, compile);
    const engine = new CountingEngine();
    const { config } = model;
    const statistics = await plainStatistics(model, settings, 1);
    const context = { settings, collection, statistics, engine, rowsPerBatch: 1024 };
    const round = { ...context, storage: segmentStorage(config.dInner, config.dModel) };
    const hooks = emptyHooks(model, settings);
    const next = normal(1);
    const targets = (count: number) =>
      matrix(config.dModel, count, Float64Array.from({ length: config.dModel * count }, next));
    const earlier = await keyRows(context, subjects.slice(0, 8), hooks);
    const before = emptyState(config, settings);
    const first = { rows: earlier.rows, targets: targets(earlier.rows.length), prompts: [] };
    const { state } = await writeRound(round, before, first);
    programs[0].reset();
    engine.flops = 0;
    const written = subjects.slice(8);
    const { rows } = await keyRows(context, written, hooksOf(state, statistics));
    await writeRound(round, state, { rows, targets: targets(rows.length), prompts: [] });
    await collection.dispose();
    const shape = meanShape(written, { keptTokens, rows: rows.length });
    const sizes = { config, settings, shape, edits: 4, earlierEdits: earlier.rows.length / shape.rows };
    const planned = writeWork(sizes);
    expect(off(planned.gemmFlops, programs[0].flops)).toBeLessThan(0.02);
    expect(off(planned.float64Flops, engine.flops)).toBeLessThan(0.05);
  });

  it('for the inverse factor of a moment, and its sketch', async () => {
    // The wider one is cut into wide blocks first.
    for (const size of [1024, 3072]) {
      const engine = new CountingEngine(new OnnxGemmEngine());
      await keySketch(await inverseFactor(identity(size), engine), engine);
      const planned = factorWork({ dInner: size });
      expect(planned.runs).toBe(engine.products);
      expect(planned.float64Flops).toBe(engine.flops);
    }
  });

  it('for rebuilding a version of some hundred edits', async () => {
    const config = { dInner: 96, dModel: 500 };
    const engine = new CountingEngine(new OnnxGemmEngine());
    const rounds = [0, 150, 300].map((before) => {
      const gramRows = matrix(150, before + 150);
      for (let i = 0; i < 150; i++) gramRows.data[i * (before + 150) + before + i] = 1;
      const segment = { whitenedKeys: matrix(150, config.dInner), targets: matrix(config.dModel, 150), gramRows };
      return { removed: [], segment };
    });
    await replayRounds(emptyMemory(config.dInner, config.dModel, 1), rounds, engine);
    expect(rebuildWork(config, 450)).toMatchObject({ float64Flops: engine.flops });
  });
});

describe('the shape of an edit', () => {
  it('that is planned for by default is about that of the bundled edits', () => {
    const measured = meanShape(subjects, { keptTokens });
    expect(measured.promptTokens / counterFactShape.promptTokens).toBeGreaterThan(0.5);
    expect(measured.promptTokens / counterFactShape.promptTokens).toBeLessThan(2);
    expect(measured.templates).toBe(counterFactShape.templates);
  });
});
