import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '../../../src/model/index.js';
import { ExportedModel, HookableModel } from '../../../src/serving/index.js';
import { tolerances } from '../../support/matchers.js';

const goldens = new URL('../../golden/models/', import.meta.url);
const sequences = [[3, 14, 15, 9, 26, 5, 35], [8], [9, 7, 9, 3, 2]];

let base: HookableModel;
let other: HookableModel;
let exported: ExportedModel;

beforeAll(async () => {
  const compileGolden = async (name: string) =>
    HookableModel.compile(await loadModel(new URL(name, goldens).pathname), { layers: [], gate: 'none' });
  [base, other] = await Promise.all([compileGolden('llama'), compileGolden('llama3-rope')]);
  exported = new ExportedModel(base, other);
});

afterAll(async () => {
  await Promise.all([base.dispose(), other.dispose(), exported.dispose()]);
});

/** log p of every token but the first, and KL(a || b) over the rows, by plain loops in double precision. */
function naive(tokenIds: readonly number[], a: Float32Array, b: Float32Array) {
  const vocab = a.length / tokenIds.length;
  const logSoftmax = (logits: Float32Array, t: number) => {
    const row = Array.from(logits.subarray(t * vocab, (t + 1) * vocab));
    const sum = Math.log(row.reduce((total, logit) => total + Math.exp(logit), 0));
    return row.map((logit) => logit - sum);
  };
  const totals = { baseNll: 0, editedNll: 0, klSum: 0 };
  for (let t = 0; t + 1 < tokenIds.length; t++) {
    const [p, q] = [logSoftmax(a, t), logSoftmax(b, t)];
    totals.baseNll -= p[tokenIds[t + 1]];
    totals.editedNll -= q[tokenIds[t + 1]];
    totals.klSum += p.reduce((sum, log, id) => sum + Math.exp(log) * (log - q[id]), 0);
  }
  return totals;
}

describe('an export beside its base', () => {
  it('is compared with it by whole distributions', async () => {
    const results = await exported.compare(sequences, []);
    const [bases, others] = [await base.logits(sequences), await other.logits(sequences)];
    results.forEach((result, s) => {
      const expected = naive(sequences[s], bases[s].data, others[s].data);
      expect([result.baseNll, result.editedNll, result.klSum]).toBeAllclose(
        [expected.baseNll, expected.editedNll, expected.klSum],
        tolerances.activations,
      );
      expect(result).toMatchObject({
        predictedTokens: sequences[s].length - 1,
        rows: sequences[s].length,
        openRows: Number.NaN,
      });
    });
    expect(results[0].klSum).toBeGreaterThan(1e-3);
    expect((await new ExportedModel(base, base).compare(sequences, []))[0].klSum).toBe(0);
  });

  it('answers for itself where there are hooks, and the base model where there are none', async () => {
    const requests = sequences.map((tokenIds) => ({ tokenIds, scoredFrom: 1 }));
    expect(await exported.score(requests, [])).toEqual(await other.score(requests));
    expect(await exported.score(requests)).toEqual(await base.score(requests));
    const options = { maxTokens: 6 };
    expect(await exported.generate(sequences, { ...options, hooks: [] })).toEqual(
      await other.generate(sequences, options),
    );
    expect(await exported.generate(sequences, options)).toEqual(await base.generate(sequences, options));
  });
});

describe('logits', () => {
  it('are those that scores are the log-softmax of, in the order of the sequences', async () => {
    const logits = await base.logits(sequences);
    const scores = await base.score(sequences.map((tokenIds) => ({ tokenIds, scoredFrom: 1 })));
    logits.forEach(({ shape, data }, s) => {
      expect(shape).toEqual([sequences[s].length, base.model.config.vocab]);
      const nll = -scores[s].logProbabilities.reduce((sum, value) => sum + value, 0);
      expect([naive(sequences[s], data, data).baseNll]).toBeAllclose([nll], tolerances.activations);
    });
  });
});
