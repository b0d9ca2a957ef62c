import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  emptyState,
  type GateKind,
  type HookLayer,
  hooksOf,
  KeyCollection,
  resolveHyperparameters,
  writeRound,
} from '../../src/editing/index.js';
import { inverseFactor, PlainGemmEngine } from '../../src/linalg/index.js';
import { loadModel } from '../../src/model/index.js';
import { type GenerateOptions, HookableModel } from '../../src/serving/index.js';
import { tolerances } from '../support/matchers.js';
import { GoldenModel, goldenNames } from './golden-model.js';

interface Subject {
  readonly golden: GoldenModel;
  readonly served: HookableModel;
  readonly hooks: readonly HookLayer[];
}

const subjects: Subject[] = [];

afterAll(async () => {
  await Promise.all(subjects.map(({ served }) => served.dispose()));
});

/** A golden model served with the hooks of its two golden rounds. */
async function serve(name: string, gate: GateKind, rowsPerBatch = 64): Promise<Subject> {
  const golden = new GoldenModel(name);
  const model = await loadModel(golden.directory);
  const { rounds } = golden.record;
  const settings = resolveHyperparameters(
    {
      layers: rounds.layers,
      momentWeight: rounds.momentWeight / model.config.dInner,
      gate,
      similarityThreshold: rounds.tau,
      sequenceThreshold: rounds.alpha,
    },
    model.config,
  );
  const engine = new PlainGemmEngine();
  const statistics = await Promise.all(
    rounds.layers.map(async (layer) => {
      const factor = await inverseFactor(golden.matrix(`moment.layer.${layer}.moment`), engine);
      return { layer, inverseFactor: factor, sketch: factor };
    }),
  );
  const collection = await KeyCollection.compile(model, settings);
  let state = emptyState(model.config, settings);
  for (const r of rounds.batches.keys()) {
    const context = { settings, collection, statistics, engine, rowsPerBatch: 1000 };
    state = (await writeRound(context, state, golden.round(r))).state;
  }
  await collection.dispose();
  const served = await HookableModel.compile(model, { layers: rounds.layers, gate, rowsPerBatch });
  const subject = { golden, served, hooks: hooksOf(state, statistics) };
  subjects.push(subject);
  return subject;
}

/** log softmax of each row of logits, in float64. */
function logProbabilitiesOf(logits: Float64Array, vocab: number): Float64Array[] {
  return Array.from({ length: logits.length / vocab }, (_, row) => {
    const values = logits.subarray(row * vocab, (row + 1) * vocab);
    const largest = Math.max(...values);
    const logSum = Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0)) + largest;
    return values.map((value) => value - logSum);
  });
}

function argMaxOf(values: ArrayLike<number>): number {
  return Array.from(values).indexOf(Math.max(...Array.from(values)));
}

const promptsOf = (golden: GoldenModel) => golden.record.edits.map((edit) => edit.prompts[0].ids);

/** Greedy decoding in which every token comes from scoring the whole prefix, one sequence at a time. */
async function decodeByPrefixes({ served, golden }: Subject, prompt: number[], hooks?: readonly HookLayer[]) {
  const ids = [...prompt];
  for (let step = 0; step < newTokens; step++) {
    // What follows the prefix does not matter to its argmax: any token can stand there.
    const padded = [...ids, golden.record.sequences[0][0]];
    const [{ argMaxIds }] = await served.score([{ tokenIds: padded, scoredFrom: ids.length }], hooks);
    ids.push(argMaxIds[0]);
  }
  return ids.slice(prompt.length);
}

const newTokens = 8;
const gates = ['key', 'sequence', 'none'] as const;
const edited = goldenNames.flatMap((name) => gates.map((gate) => ({ name, gate })));

describe.each(edited)('scores of $name with the gate $gate', ({ name, gate }) => {
  it('agree with PyTorch on edited log-probabilities, argmax tokens and gate decisions', async () => {
    const { golden, served, hooks } = await serve(name, gate);
    const { vocab } = served.model.config;
    const { sequences } = golden.record;
    const requests = sequences.map((tokenIds) => ({ tokenIds, scoredFrom: 2 }));
    const scores = await served.score(requests, hooks);
    sequences.forEach((ids, s) => {
      const expected = logProbabilitiesOf(golden.array(`edited.${gate}.sequence.${s}.logits`), vocab);
      const rows = ids.slice(2).map((_, i) => expected[i + 1]);
      const wanted = rows.map((row, i) => row[ids[i + 2]]);
      expect(scores[s].logProbabilities).toBeAllclose(wanted, tolerances.weightChange);
      expect(scores[s].argMaxIds).toEqual(rows.map(argMaxOf));
      for (const { layer } of hooks) {
        const open = golden.array(`edited.${gate}.sequence.${s}.layer.${layer}.open`);
        const openAt = Array.from(open.keys()).filter((t) => open[t] === 1);
        const fired = scores[s].firings.filter((firing) => firing.layer === layer);
        expect(fired.map((firing) => firing.tokenIndex)).toEqual(openAt);
      }
    });
  });
});

describe.each(goldenNames)('the key gate on %s', (name) => {
  let subject: Subject;
  beforeAll(async () => {
    subject = await serve(name, 'key');
  });

  it('generates with cached keys and values exactly what scoring whole prefixes gives, for ragged prompts', async () => {
    const { golden, served, hooks } = subject;
    const prompts = [...promptsOf(golden), ...golden.record.sequences];
    expect(new Set(prompts.map((prompt) => prompt.length)).size).toBeGreaterThan(1);
    for (const version of [hooks, undefined]) {
      const options: GenerateOptions = { maxTokens: newTokens, ...(version && { hooks: version }) };
      const generated = await served.generate(prompts, options);
      const expected = [];
      for (const prompt of prompts) expected.push(await decodeByPrefixes(subject, prompt, version));
      expect(generated.map(({ tokenIds }) => tokenIds)).toEqual(expected);
    }
  });

  it('opens on the same tokens, for the same edits, whether they are cached or not', async () => {
    const { golden, served, hooks } = subject;
    const prompts = promptsOf(golden);
    const generated = await served.generate(prompts, { maxTokens: newTokens, hooks });
    const whole = await served.score(
      prompts.map((prompt, p) => {
        const tokenIds = [...prompt, ...generated[p].tokenIds.slice(0, -1)];
        return { tokenIds, scoredFrom: tokenIds.length };
      }),
      hooks,
    );
    const placesOf = (firings: readonly { layer: number; tokenIndex: number; editIndex: number }[]) =>
      firings.map(({ layer, tokenIndex, editIndex }) => `${layer} ${tokenIndex} ${editIndex}`).sort();
    expect(generated.flatMap(({ firings }) => firings).length).toBeGreaterThan(0);
    generated.forEach(({ firings }, p) => {
      expect(placesOf(firings)).toEqual(placesOf(whole[p].firings));
    });
  });

  it('serves the base model as PyTorch computes it when there are no hooks', async () => {
    const { golden, served } = subject;
    const { sequences } = golden.record;
    const scores = await served.score(sequences.map((tokenIds) => ({ tokenIds, scoredFrom: 1 })));
    sequences.forEach((ids, s) => {
      const rows = logProbabilitiesOf(golden.array(`forward.${s}.logits`), served.model.config.vocab);
      const expected = ids.slice(1).map((id, i) => rows[i][id]);
      expect(scores[s].logProbabilities).toBeAllclose(expected, tolerances.activations);
      expect(scores[s].firings).toEqual([]);
    });
  });

  it('leaves every number of a sequence in which no gate opens as it is, bit for bit', async () => {
    const { golden, served, hooks } = subject;
    const shut = hooks.map((hook) => ({ ...hook, thresholds: new Float32Array(hook.thresholds.length).fill(2) }));
    const requests = golden.record.sequences.map((tokenIds) => ({ tokenIds, scoredFrom: 1 }));
    // How near a gate is to opening says nothing of the model.
    const numbersOf = async (version?: typeof shut) =>
      (await served.score(requests, version)).map(({ strengths: _, ...numbers }) => numbers);
    expect(await numbersOf(shut)).toEqual(await numbersOf());
  });

  it('compares whole distributions of the edited and the base model', async () => {
    const { golden, served, hooks } = subject;
    const { vocab } = served.model.config;
    const { sequences } = golden.record;
    const comparisons = await served.compare(sequences, hooks);
    sequences.forEach((ids, s) => {
      const predicting = <T>(rows: T[]) => rows.slice(0, -1);
      const base = predicting(logProbabilitiesOf(golden.array(`forward.${s}.logits`), vocab));
      const edited = predicting(logProbabilitiesOf(golden.array(`edited.key.sequence.${s}.logits`), vocab));
      const total = (numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0);
      const klOf = (row: number) => total(Array.from(base[row], (log, id) => Math.exp(log) * (log - edited[row][id])));
      const { klSum, baseNll, editedNll, rows, predictedTokens, openRows, firings, strengths } = comparisons[s];
      expect([rows, predictedTokens, strengths.length]).toEqual([ids.length, ids.length - 1, ids.length]);
      expect([klSum]).toBeAllclose([total(base.map((_, row) => klOf(row)))], { relative: 1e-3, absolute: 1e-5 });
      const nllOf = (rows: Float64Array[]) => total(rows.map((row, i) => -row[ids[i + 1]]));
      expect([baseNll, editedNll]).toBeAllclose([nllOf(base), nllOf(edited)], tolerances.weightChange);
      expect(new Set(firings.map((firing) => firing.tokenIndex)).size).toBe(openRows);
      for (const { tokenIndex, strength } of firings) expect(strengths[tokenIndex]).toBeGreaterThanOrEqual(strength);
    });
  });
});

describe('the sequence gate', () => {
  it('generates what scoring each grown sequence gives, since its decisions hang on the whole sequence', async () => {
    const { served, golden, hooks } = await serve('llama', 'sequence');
    const prompts = promptsOf(golden);
    const generated = await served.generate(prompts, { maxTokens: 4, hooks });
    for (const [p, prompt] of prompts.entries()) {
      for (let step = 0; step < 4; step++) {
        // Greedy decoding of one more token from the sequence so far, alone.
        const sofar = [...prompt, ...generated[p].tokenIds.slice(0, step)];
        const [{ tokenIds }] = await served.generate([sofar], { maxTokens: 1, hooks });
        expect(tokenIds).toEqual([generated[p].tokenIds[step]]);
      }
    }
  });
});
