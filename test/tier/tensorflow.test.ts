import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { readBatch } from '../../src/evaluation/index.js';
import { type Matrix, matrix, regularise, Solver } from '../../src/linalg/index.js';
import { openTensorflow } from '../../src/linalg/tensorflow-kernels.js';
import { loadModel, loadTokenizer } from '../../src/model/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import { OnnxGemmEngine } from '../../src/runtime/index.js';
import { conditionNumber } from '../../src/statistics/condition-number.js';
import { corpusSequences } from '../../src/statistics/corpus-sequences.js';
import { sumKeyMoments } from '../../src/statistics/moment-pass.js';
import { gaussian } from '../support/random-matrix.js';

const folder = process.env.HOOKLINE_TFJS ?? '';
const isThere = existsSync(join(folder, 'node_modules', '@tensorflow'));
const tier = 'TensorFlow as a solver';
const name = isThere
  ? tier
  : `${tier}, skipped because HOOKLINE_TFJS names no folder that containers/build-tfjs.sh has made`;
const aldermark = (path: string) => fileURLToPath(new URL(`../../examples/aldermark/${path}`, import.meta.url));
const smollm2 = process.env.HOOKLINE_SMOLLM2 ?? '';
const models = [
  { name: 'the bundled model', directory: aldermark('model'), layer: 0, texts: [20_000, 2500, 500] },
  { name: 'SmolLM2-135M', directory: smollm2, layer: 2, texts: [20_000, 2500] },
].filter(({ directory }) => existsSync(join(directory, 'config.json')));

const engine = new OnnxGemmEngine();
const onnx = new Solver({ choice: 'onnx', engine });

/** The moment of a layer's keys over the first tokens of ordinary text, with the ridge that statistics have. */
async function momentOf(directory: string, layer: number, maxTokens: number): Promise<Matrix> {
  const model = await loadModel(directory);
  const scratch = await mkdtemp(join(tmpdir(), 'hookline-tensorflow-'));
  const corpus = join(scratch, 'corpus.txt');
  const { edits } = await readBatch(fileURLToPath(new URL('../fixtures/counterfact-sample.jsonl', import.meta.url)));
  const lines = edits.flatMap(({ subject, prompt, neighborhood }) => [prompt.replace('{}', subject), ...neighborhood]);
  await writeFile(corpus, lines.join('\n'));
  const text = directory === smollm2 ? corpus : aldermark('corpus.txt');
  const sequences = await corpusSequences(text, await loadTokenizer(directory), { maxTokens, sequenceTokens: 128 });
  await rm(scratch, { recursive: true });
  const pass = { rowsPerBatch: 1024, checkpointSeconds: 1e9, store: new MemoryObjectStore(), checkpointKey: 'sums' };
  const { sums, tokens } = await sumKeyMoments({ model, layers: [layer], sequences, ...pass });
  const { dInner } = model.config;
  return regularise(
    matrix(
      dInner,
      dInner,
      sums.get(layer)!.map((sum) => sum / tokens),
    ),
  );
}

/** `|P0 K - Q0 K| / |Q0 K|`. */
async function differenceOn(keys: Matrix, factor: Matrix, expected: Matrix): Promise<number> {
  const [ours, theirs] = [await whitened(factor, keys), await whitened(expected, keys)];
  return Math.hypot(...ours.map((value, i) => value - theirs[i])) / Math.hypot(...theirs);
}

async function whitened(factor: Matrix, keys: Matrix): Promise<Float64Array> {
  return (await engine.gemm(factor, await engine.gemm(factor, keys), { transA: true })).data;
}

describe.skipIf(!isThere)(name, () => {
  const notices: string[] = [];
  const tensorflow = new Solver({
    choice: 'tensorflow',
    tensorflowFolder: folder,
    engine,
    onNotice: (notice) => notices.push(notice),
  });
  afterAll(() => engine.dispose());

  it('loads and says what it is', () => {
    const opened = openTensorflow(folder);
    if ('missing' in opened) throw new Error(opened.missing);
    expect(opened.kernels.description).toMatch(/^TensorFlow 2\.\d+\.\d+ on (the CPU|a GPU)$/);
  });

  describe.each(models)('on moments of $name', ({ directory, layer, texts }) => {
    // The fewer tokens, the more directions are held by the ridge alone: conditions from 3e5 to 2e8.
    it.each(texts)('agrees with the default engine to 1e-8, of %i tokens', async (tokens) => {
      const moment = await momentOf(directory, layer, tokens);
      const { factor, origin } = await tensorflow.inverseFactor(moment, 'moment');
      const { factor: expected } = await onnx.inverseFactor(moment, 'moment');
      process.stdout.write(`condition ${conditionNumber(expected).toExponential(1)}: ${origin.reason}\n`);
      expect(origin.solver).toBe('tensorflow');
      const random = gaussian(moment.rows, 8, 1);
      for (const keys of [random, await engine.gemm(moment, random)]) {
        expect(await differenceOn(keys, factor, expected)).toBeLessThan(1e-8);
      }
    });
  });

  it('leaves a moment without a float32 factor to the default engine, with the reason, and says so once', async () => {
    const moment = await momentOf(models[0].directory, models[0].layer, 200);
    notices.length = 0;
    const { factor, origin } = await tensorflow.inverseFactor(moment, 'moment');
    await tensorflow.inverseFactor(moment, 'moment');
    expect(factor).toEqual((await onnx.inverseFactor(moment, 'moment')).factor);
    expect(origin.solver).toBe('onnx');
    expect(origin.reason).toMatch(/^tensorflow was asked for, but TensorFlow .* cannot do it: .*float32/);
    expect(notices).toEqual([`factored by onnx: ${origin.reason}`]);
  });

  it('is not what auto takes on the CPU, nor for a small matrix', async () => {
    const auto = new Solver({ choice: 'auto', tensorflowFolder: folder, engine });
    const { origin } = await auto.inverseFactor(matrix(1, 1, Float64Array.of(4)), 'one number');
    expect(origin).toEqual({ solver: 'onnx', reason: expect.stringContaining('fewer than the 4096') });
  });
});
