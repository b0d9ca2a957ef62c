import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  emptyState,
  hooksOf,
  KeyCollection,
  type KeyStatistics,
  keyRows,
  resolveHyperparameters,
  rowTargets,
  type TokenizedSubject,
  writeRound,
} from '../../../src/editing/index.js';
import type { KeyRowsContext, SubjectRows } from '../../../src/editing/key-rows.js';
import { inverseFactor, type Matrix, PlainGemmEngine } from '../../../src/linalg/index.js';
import { loadModel, type Model } from '../../../src/model/index.js';
import { GoldenModel } from '../../parity/golden-model.js';
import { naiveProduct } from '../../support/dense-update.js';
import { gaussian, uniform } from '../../support/random-matrix.js';

type Forms = Pick<TokenizedSubject, 'id' | 'forms'>;

const engine = new PlainGemmEngine();
const rowsPerBatch = 64;
/** Beyond any cosine: the first token of a text is like no form by chance. */
const threshold = 3;

let golden: GoldenModel;
let model: Model;
const collections = new Map<string, KeyCollection>();
beforeAll(async () => {
  golden = new GoldenModel('llama');
  model = await loadModel(golden.directory);
});
afterAll(async () => {
  for (const collection of collections.values()) await collection.dispose();
});

const settingsOf = (layers: readonly number[], formSimilarity: number) =>
  resolveHyperparameters({ layers: [...layers], formSimilarity, similarityThreshold: 0.55 }, model.config);

async function contextOf(
  layers: readonly number[],
  formSimilarity: number,
  sketchOf = (factor: Matrix): Matrix => factor,
): Promise<KeyRowsContext> {
  const settings = settingsOf(layers, formSimilarity);
  const collection = collections.get(layers.join()) ?? (await KeyCollection.compile(model, settings));
  collections.set(layers.join(), collection);
  const statistics = await Promise.all(
    layers.map(async (layer): Promise<KeyStatistics> => {
      const factor = await inverseFactor(golden.matrix(`moment.layer.${layer}.moment`), engine);
      return { layer, inverseFactor: factor, sketch: sketchOf(factor) };
    }),
  );
  return { settings: { ...settings, similarityThreshold: threshold }, collection, statistics, engine, rowsPerBatch };
}

const emptyHooksOf = ({ settings, statistics }: KeyRowsContext) =>
  hooksOf(emptyState(model.config, settingsOf(settings.layers, settings.formSimilarity)), statistics);

const rowsOf = (context: KeyRowsContext, subjects: readonly Forms[]): Promise<SubjectRows> =>
  keyRows(context, subjects, emptyHooksOf(context));

/** Subjects of a few tokens, each behind several beginnings. */
const someSubjects = (): Forms[] => {
  const next = uniform(11);
  const token = () => 3 + Math.floor(next() * 70);
  return Array.from({ length: 5 }, (_, s) => {
    const name = [token(), token()];
    const beginnings = Array.from({ length: 6 }, (_, f) => Array.from({ length: (f + 1) >> 1 }, token));
    return { id: `subject ${s}`, forms: beginnings.map((beginning) => ({ tokenIds: [...beginning, ...name] })) };
  });
};

/** Whitened keys of each form, by layer, and its output of the value layer: each form run alone. */
async function lookedAt(context: KeyRowsContext, forms: Forms['forms']) {
  const { collection, statistics } = context;
  return Promise.all(
    forms.map(async ({ tokenIds }) => {
      const source = { texts: [{ tokenIds, lookupIndex: tokenIds.length - 1, weight: 1 }] };
      const { keys, hidden } = await collection.collect([source], emptyHooksOf(context), 64, () => 'closed');
      return {
        whitened: statistics.map(({ layer, inverseFactor }) => naiveProduct(inverseFactor, keys.get(layer)!).data),
        hidden: hidden.data,
      };
    }),
  );
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const cosine = (a: Float64Array, b: Float64Array) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));

describe('the rows of subjects', () => {
  it.each([
    { layers: [0], formSimilarity: 0.5 },
    { layers: [1], formSimilarity: 0.7 },
    { layers: [0, 1], formSimilarity: 0.5 },
    { layers: [0, 1], formSimilarity: 0.3 },
  ])('gather forms whose keys are alike in every layer: $layers from $formSimilarity', async (some) => {
    const context = await contextOf(some.layers, some.formSimilarity);
    const subjects = someSubjects();
    const { rows, subjects: owners, hidden } = await rowsOf(context, subjects);
    let row = 0;
    for (const [s, { id, forms }] of subjects.entries()) {
      const looked = await lookedAt(context, forms);
      const groups: number[][] = [];
      forms.forEach((_, f) => {
        const isAlike = ([first]: readonly number[]) =>
          looked[f].whitened.every((key, l) => cosine(key, looked[first].whitened[l]) >= some.formSimilarity);
        const found = groups.find(isAlike);
        if (found) found.push(f);
        else groups.push([f]);
      });
      for (const members of groups) {
        const texts = members.map((f) => {
          const { tokenIds } = forms[f];
          return { tokenIds, lookupIndex: tokenIds.length - 1, weight: 1 / members.length };
        });
        expect(rows[row]).toEqual({ id, texts, threshold });
        expect(owners[row]).toBe(s);
        const output = Float64Array.from({ length: hidden.rows }, (_, r) => hidden.data[r * hidden.columns + row]);
        expect(output).toBeAllclose(looked[members[0]].hidden, { relative: 1e-5 });
        row++;
      }
    }
    expect(rows).toHaveLength(row);
    // Neither is every form a row nor does every subject have one.
    expect(row).toBeGreaterThan(subjects.length);
    expect(row).toBeLessThan(subjects.flatMap(({ forms }) => forms).length);
  });

  it('are more the more alike forms must be, and in more layers; each form is in one', async () => {
    const subjects = someSubjects();
    const countOf = async (layers: readonly number[], formSimilarity: number) => {
      const { rows } = await rowsOf(await contextOf(layers, formSimilarity), subjects);
      const texts = rows.flatMap((row) => row.texts.map(({ tokenIds }) => `${row.id}: ${tokenIds.join()}`));
      const forms = subjects.flatMap(({ id, forms }) => forms.map(({ tokenIds }) => `${id}: ${tokenIds.join()}`));
      expect(texts.sort()).toEqual(forms.sort());
      return rows.length;
    };
    expect(await countOf([0], 0)).toBeLessThan(await countOf([0], 0.6));
    expect(await countOf([0], 1)).toBe(30);
    expect(await countOf([0, 1], 0.5)).toBeGreaterThan(await countOf([0], 0.5));
  });

  it('do not depend on the other subjects', async () => {
    const context = await contextOf([0, 1], 0.5);
    const subjects = someSubjects();
    const together = await rowsOf(context, subjects);
    for (const [s, subject] of subjects.entries()) {
      const alone = await rowsOf(context, [subject]);
      expect(together.rows.filter((_, r) => together.subjects[r] === s)).toEqual(alone.rows);
    }
    // Subjects of one name are not gathered: each has its own value.
    const twins = subjects.slice(0, 1).flatMap((subject) => [subject, { ...subject, id: 'twin' }]);
    const { rows, subjects: owners } = await rowsOf(context, twins);
    const half = rows.length / 2;
    expect(rows.slice(half)).toEqual(rows.slice(0, half).map((row) => ({ ...row, id: 'twin' })));
    expect(owners).toEqual(rows.map((_, r) => (r < half ? 0 : 1)));
  });
});

describe('a form of one token, which sees nothing but itself', () => {
  const subject: Forms = {
    id: 'one',
    forms: [[8], [20, 8], [9], [8], [21, 22, 9]].map((tokenIds) => ({ tokenIds })),
  };

  it('has a row to itself, however alike keys may be that share one', async () => {
    const { rows } = await rowsOf(await contextOf([0], 0), [subject]);
    const tokensOf = rows.map(({ texts }) => texts.map(({ tokenIds }) => [...tokenIds]));
    expect(tokensOf.filter(([first]) => first.length === 1)).toEqual([[[8], [8]], [[9]]]);
    for (const group of tokensOf) {
      expect(new Set(group.map(({ length }) => length === 1)).size).toBe(1);
    }
  });

  it('opens the gate at its own key only, whatever the sketch makes of the key', async () => {
    const others = [9, 10, 11, 12, 40, 41];
    for (const seed of [1, 2, 3]) {
      // Of so few rows that it is off by a third.
      const coarse = (factor: Matrix) => {
        const sketch = naiveProduct(gaussian(6, factor.rows, seed), factor);
        return { ...sketch, data: sketch.data.map((value) => value / Math.sqrt(6)) };
      };
      const context = await contextOf([0], 0.75, coarse);
      const own = await rowsOf(context, [{ id: 'one', forms: [{ tokenIds: [8] }] }]);
      const settings = settingsOf([0], 0.75);
      const targets = rowTargets(own, [gaussian(1, model.config.dModel, 1).data]);
      const round = { rows: own.rows, targets, prompts: [] };
      const { state } = await writeRound({ ...context, settings }, emptyState(model.config, settings), round);
      const texts = [8, ...others].map((id) => ({ tokenIds: [id], lookupIndex: 0 }));
      const strengths = await context.collection.strongest(texts, hooksOf(state, context.statistics), rowsPerBatch);
      const [strength, ...rest] = strengths.get(0)!;
      const [{ threshold: exact }] = own.rows;
      expect(strength * 0.98).toBeCloseTo(exact, 4);
      for (const other of rest) expect(other).toBeLessThan(exact);
    }
  });

  it('has no row where the beginnings of other texts would open it, unless its subject has no other', async () => {
    const forms = [{ tokenIds: [8] }, { tokenIds: [7, 8, 21] }];
    const lengthsOf = async (sketchOf: (factor: Matrix) => Matrix, taken: Forms['forms']) => {
      const { rows } = await rowsOf(await contextOf([0], 0.5, sketchOf), [{ id: 'one', forms: taken }]);
      return rows.map(({ texts: [{ tokenIds }] }) => tokenIds.length);
    };
    // A sketch of one number: it takes most keys for far shorter than this one.
    const rough = ({ columns, data }: Matrix): Matrix => ({ rows: 1, columns, data: data.slice(0, columns) });
    expect(await lengthsOf((factor) => factor, forms)).toEqual([1, 3]);
    expect(await lengthsOf(rough, forms)).toEqual([3]);
    expect(await lengthsOf(rough, forms.slice(0, 1))).toEqual([1]);
  });

  it('is not gathered with forms of more tokens, whose threshold is that of the settings', async () => {
    const { rows } = await rowsOf(await contextOf([0], 0), [subject]);
    const [isExact, isNot] = [true, false].map((exact) =>
      rows.filter(({ texts: [{ tokenIds }] }) => (tokenIds.length === 1) === exact),
    );
    // The sketch is the factor: a key is as similar to itself as can be.
    for (const row of isExact) expect(row.threshold).toBeCloseTo(0.98, 6);
    expect(isNot.map((row) => row.threshold)).toEqual(isNot.map(() => threshold));
    expect(isNot.length).toBeGreaterThan(0);
  });

  it('is so too where it has more tokens, and a key that is near that of any text’s beginning', async () => {
    const context = await contextOf([0, 1], 0);
    const subjects = someSubjects();
    const forms = subjects.flatMap((one) => one.forms);
    const [[beginning], looked] = await Promise.all([
      lookedAt(context, [{ tokenIds: [model.config.vocab >> 1] }]),
      lookedAt(context, forms),
    ]);
    const similarities = looked.map(({ whitened }) =>
      Math.max(...whitened.map((key, l) => cosine(key, beginning.whitened[l]))),
    );
    // Half of the forms are half as near to it as opens a row.
    const similarityThreshold = 2 * similarities.toSorted((a, b) => a - b)[similarities.length >> 1];
    const { rows } = await rowsOf({ ...context, settings: { ...context.settings, similarityThreshold } }, subjects);
    const exact = rows.filter((row) => row.threshold > similarityThreshold);
    expect(exact.map(({ texts }) => texts.map(({ tokenIds }) => tokenIds))).toEqual(
      forms.flatMap(({ tokenIds }, f) => (similarities[f] >= similarityThreshold / 2 ? [[tokenIds]] : [])),
    );
    for (const row of exact) expect(row.threshold).toBeCloseTo(0.98, 6);
  });
});

describe('the targets of rows', () => {
  it("are each row's own output and the value of its subject, in the order of the rows", async () => {
    const subjects = someSubjects();
    const rows = await rowsOf(await contextOf([0], 0.6), subjects);
    const { dModel } = model.config;
    const deltas = subjects.map((_, s) => gaussian(1, dModel, s).data);
    const targets = rowTargets(rows, deltas);
    expect([targets.rows, targets.columns]).toEqual([dModel, rows.rows.length]);
    rows.subjects.forEach((subject, column) => {
      for (let m = 0; m < dModel; m++) {
        const at = m * targets.columns + column;
        expect(targets.data[at]).toBe(rows.hidden.data[at] + deltas[subject][m]);
      }
    });
    expect(new Set(rows.subjects).size).toBeLessThan(rows.subjects.length);
  });
});
