import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hookOf } from '../../../src/editing/edit-state.js';
import type { HookMode } from '../../../src/editing/hook.js';
import {
  emptyState,
  type GateKind,
  type HookLayer,
  hookFeeds,
  hookLayers,
  resolveHyperparameters,
} from '../../../src/editing/index.js';
import { cast, Graph } from '../../../src/graph/index.js';
import {
  appendRound,
  inverseFactor,
  type Matrix,
  matrix,
  PlainGemmEngine,
  transpose,
} from '../../../src/linalg/index.js';
import { declarePacking, type ModelConfig, packSequences } from '../../../src/model/index.js';
import { compile, type Program } from '../../../src/runtime/index.js';
import { tensor } from '../../../src/tensor/index.js';
import { denseStart, denseUpdate, eliminate, naiveProduct } from '../../support/dense-update.js';
import { tolerances } from '../../support/matchers.js';
import { gaussian, illConditioned } from '../../support/random-matrix.js';

const dInner = 12;
const dModel = 6;
const layer = 2;
const edits = 4;
const config = { layers: 4, dInner, dModel, heads: 1, keyValueHeads: 1 } as ModelConfig;
const engine = new PlainGemmEngine();
const gates = ['key', 'nearest', 'sequence', 'none'] as const;

/** Lengths of the sequences of ordinary and edited keys that are looked at. */
const lengths = [7, 1, 12, 4, 9];
const rows = lengths.reduce((sum, length) => sum + length, 0);
const moment = illConditioned(dInner, 100, 3);
const editedKeys = gaussian(dInner, edits, 11); // [dInner, edits]
const base = Float32Array.from(gaussian(rows, dModel, 12).data);

/** Every third row is an edited key, scaled and with some noise; the others are random. */
const keys = Float32Array.from(gaussian(rows, dInner, 13).data, (noise, at) => {
  const row = Math.floor(at / dInner);
  const edit = row % edits;
  const edited = editedKeys.data[(at % dInner) * edits + edit];
  return row % 3 === 0 ? (1 + edit) * (edited + 0.05 * noise) : noise;
});

interface Observed {
  readonly hooked: Float32Array;
  readonly open: number[];
  readonly strength: Float32Array;
  readonly edit: number[];
}

/** The hook alone: keys and base output in, hooked output and signals out. */
class HookProgram {
  readonly #gate: GateKind;
  readonly #program: Program;

  private constructor(gate: GateKind, program: Program) {
    this.#gate = gate;
    this.#program = program;
  }

  static async compile(gate: GateKind): Promise<HookProgram> {
    const graph = new Graph();
    const visit = hookLayers(graph, declarePacking(graph, config), [layer], gate, (_, signals) => {
      graph.output('open', cast(signals.open, 'float32'));
      if (signals.strength) graph.output('strength', signals.strength);
      if (signals.edit) graph.output('edit', signals.edit);
    });
    visit('mlp.inner', layer, graph.input('keys', 'float32', ['rows', dInner]));
    graph.output('hooked', visit('mlp.out', layer, graph.input('base', 'float32', ['rows', dModel])));
    return new HookProgram(gate, await compile(graph));
  }

  /** Rows `first .. first + Σ lengths - 1` of the test data as sequences of these lengths. */
  async run(hook: HookLayer, first = 0, sequences: readonly number[] = lengths, mode?: HookMode): Promise<Observed> {
    const count = sequences.reduce((sum, length) => sum + length, 0);
    const rowsOf = (data: Float32Array, width: number) =>
      tensor('float32', [count, width], data.slice(first * width, (first + count) * width));
    const extents = sequences.map((length) => ({ past: 0, length }));
    const outputs = await this.#program.run({
      ...packSequences(config, extents),
      ...hookFeeds([hook], this.#gate, dModel, mode && (() => mode)),
      keys: rowsOf(keys, dInner),
      base: rowsOf(base, dModel),
    });
    return {
      hooked: outputs.hooked.data as Float32Array,
      open: Array.from(outputs.open.data as Float32Array),
      strength: (outputs.strength?.data ?? new Float32Array()) as Float32Array,
      edit: Array.from((outputs.edit?.data ?? []) as BigInt64Array, Number),
    };
  }

  dispose(): Promise<void> {
    return this.#program.dispose();
  }
}

const settings = resolveHyperparameters({ layers: [layer] }, config);
const [emptyLayer] = emptyState(config, settings).layers;
const programs = new Map<GateKind, HookProgram>();
let filled: HookLayer;
let empty: HookLayer;
let metric: Matrix; // P0 [dInner, dInner]
let weightChange: Matrix; // dW [dModel, dInner]
const residuals = gaussian(dModel, edits, 14);
beforeAll(async () => {
  for (const gate of gates) programs.set(gate, await HookProgram.compile(gate));
  const factor = await inverseFactor(moment, engine);
  const { memory } = await appendRound(emptyLayer.memory, editedKeys, residuals, factor, engine);
  // The sketch is the factor itself: the whitened norm is exact.
  filled = hookOf({ ...emptyLayer, memory, thresholds: [0.6, 0.7, 0.6, 0.65], sequenceThreshold: 1.1 }, factor);
  empty = hookOf(emptyLayer, factor);
  metric = eliminate(
    moment,
    matrix(
      dInner,
      dInner,
      Float64Array.from({ length: dInner ** 2 }, (_, i) => Number(i % (dInner + 1) === 0)),
    ),
  );
  weightChange = denseUpdate(denseStart(moment, memory.momentWeight, dModel), editedKeys, residuals).weightChange;
});
afterAll(async () => {
  for (const program of programs.values()) await program.dispose();
});

const column = (a: Matrix, j: number) => Array.from({ length: a.rows }, (_, i) => a.data[i * a.columns + j]);
const keyOf = (row: number) => Array.from(keys.subarray(row * dInner, (row + 1) * dInner));
const allRows = Array.from({ length: rows }, (_, row) => row);

/** `aᵀ P0 b` */
function product(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < dInner; i++) for (let j = 0; j < dInner; j++) sum += a[i] * metric.data[i * dInner + j] * b[j];
  return sum;
}

/** `dW k` */
function changeOf(row: number): number[] {
  return Array.from(naiveProduct(weightChange, matrix(dInner, 1, Float64Array.from(keyOf(row)))).data);
}

/** Whitened cosines of a row with every edit. */
function cosines(row: number): number[] {
  const key = keyOf(row);
  return Array.from({ length: edits }, (_, e) => {
    const edited = column(editedKeys, e);
    return product(edited, key) / Math.sqrt(product(edited, edited) * product(key, key));
  });
}

/** z-scores of `|dW k|` in each sequence. */
function zScores(): number[] {
  let first = 0;
  return lengths.flatMap((length) => {
    const sizes = Array.from({ length }, (_, t) => Math.hypot(...changeOf(first + t)));
    first += length;
    const mean = sizes.reduce((a, b) => a + b) / length;
    const variance = sizes.reduce((sum, size) => sum + (size - mean) ** 2, 0) / (length - 1);
    return sizes.map((size) => (length === 1 ? 0 : (size - mean) / Math.sqrt(variance)));
  });
}

/** `v_e (k_eᵀ P0 k) / (k_eᵀ P0 k_e)`: of a first round, `v_e` is the residual. */
function ownChangeOf(row: number, e: number): number[] {
  const edited = column(editedKeys, e);
  const share = product(edited, keyOf(row)) / product(edited, edited);
  return column(residuals, e).map((x) => share * x);
}

/** Base output, with `dW k`, or what else the hook says, added where the gate is open. */
function hookedBy(open: readonly number[], saidOf: (row: number) => number[] = changeOf): number[] {
  return allRows.flatMap((row) => {
    const change = saidOf(row);
    return change.map((x, m) => base[row * dModel + m] + open[row] * x);
  });
}

describe.each(['key', 'nearest'] as const)('the gate %s', (gate) => {
  it('opens by the whitened cosine with the edited keys, names the edit, and speaks there only', async () => {
    const observed = await programs.get(gate)!.run(filled);
    const similarities = allRows.map(cosines);
    const margins = similarities.map((row) => row.map((s, e) => s - filled.thresholds[e]));
    expect(Math.min(...margins.flat().map(Math.abs))).toBeGreaterThan(1e-4);
    const open = margins.map((row) => Number(Math.max(...row) >= 0));
    expect(observed.strength).toBeAllclose(
      similarities.map((row) => Math.max(...row)),
      tolerances.activations,
    );
    expect(observed.edit).toEqual(margins.map((row) => row.indexOf(Math.max(...row))));
    expect(observed.open).toEqual(open);
    expect(new Set(open).size).toBe(2);
    const saidOf = gate === 'key' ? changeOf : (row: number) => ownChangeOf(row, observed.edit[row]);
    expect(observed.hooked).toBeAllclose(hookedBy(open, saidOf), tolerances.activations);
  });

  it('says the same of a token alone as in any sequence and batch', async () => {
    const program = programs.get(gate)!;
    const together = await program.run(filled);
    for (const row of allRows) {
      const alone = await program.run(filled, row, [1]);
      expect(alone.open[0]).toBe(together.open[row]);
      expect(alone.edit[0]).toBe(together.edit[row]);
      expect(alone.strength).toBeAllclose([together.strength[row]], tolerances.activations);
    }
  });

  it('is opened by the first of two edits with the same key', async () => {
    const twice = (data: Float32Array, width: number) => {
      const columns = Array.from({ length: width }, (_, m) => data[m * edits]);
      return Float32Array.from(columns.flatMap((value, m) => [value, -3 * columns[width - 1 - m]]));
    };
    const key = filled.whitenedKeys.subarray(0, dInner);
    const hook = {
      ...filled,
      whitenedKeys: Float32Array.of(...key, ...key),
      coefficients: twice(filled.coefficients, dModel),
      ownCoefficients: twice(filled.ownCoefficients, dModel),
      keyNorms: Float32Array.of(filled.keyNorms[0], filled.keyNorms[0]),
      thresholds: Float32Array.of(0.6, 0.6),
    };
    const { open, edit, hooked } = await programs.get(gate)!.run(hook);
    const opened = allRows.filter((row) => open[row] === 1);
    expect(opened.length).toBeGreaterThan(0);
    for (const row of opened) {
      expect(edit[row]).toBe(0);
      if (gate === 'key') continue;
      const said = hooked.subarray(row * dModel, (row + 1) * dModel).map((x, m) => x - base[row * dModel + m]);
      expect(said).toBeAllclose(ownChangeOf(row, 0), tolerances.activations);
    }
  });

  it('has rows `k_eᵀ P0`, in which an edited key has the cosine 1 with itself', () => {
    for (let e = 0; e < edits; e++) {
      const response = naiveProduct(matrix(edits, dInner, Float64Array.from(filled.whitenedKeys)), editedKeys);
      expect(response.data[e * edits + e] / filled.keyNorms[e] ** 2).toBeCloseTo(1, 5);
    }
    expect(transpose(matrix(edits, dInner, Float64Array.from(filled.whitenedKeys))).data).toBeAllclose(
      naiveProduct(metric, editedKeys).data,
      tolerances.activations,
    );
  });
});

describe('the sequence gate', () => {
  it('opens by the z-score of the change within its sequence, padding left out', async () => {
    const observed = await programs.get('sequence')!.run(filled);
    const scores = zScores();
    const threshold = filled.sequenceThreshold - 1e-3;
    expect(Math.min(...scores.map((z) => Math.abs(z - threshold)))).toBeGreaterThan(1e-4);
    const open = scores.map((z) => Number(z >= threshold));
    expect(observed.strength).toBeAllclose(scores, tolerances.activations);
    expect(observed.open).toEqual(open);
    expect(new Set(open).size).toBe(2);
    expect(observed.hooked).toBeAllclose(hookedBy(open), tolerances.activations);
  });

  it('says the same of a sequence alone as beside longer and shorter ones, and 0 of a single token', async () => {
    const program = programs.get('sequence')!;
    const together = await program.run(filled);
    let first = 0;
    for (const length of lengths) {
      const alone = await program.run(filled, first, [length]);
      expect(alone.open).toEqual(together.open.slice(first, first + length));
      expect(alone.strength).toBeAllclose(together.strength.subarray(first, first + length), tolerances.activations);
      if (length === 1) expect(alone.strength[0]).toBe(0);
      first += length;
    }
  });
});

describe.each(gates)('the hook with the gate %s', (gate) => {
  it('leaves every bit of the output as it is while nothing is edited', async () => {
    const { hooked, open } = await programs.get(gate)!.run(empty);
    expect(hooked).toEqual(base);
    if (gate !== 'none') expect(open).toEqual(allRows.map(() => 0));
  });

  it('leaves every bit as it is when closed, and still reads the signals', async () => {
    const program = programs.get(gate)!;
    const closed = await program.run(filled, 0, lengths, 'closed');
    expect(closed.hooked).toEqual(base);
    expect(closed.open).toEqual(allRows.map(() => 0));
    expect(closed.strength).toEqual((await program.run(filled)).strength);
  });

  it('adds the weight change to every token when open', async () => {
    const { hooked } = await programs.get(gate)!.run(filled, 0, lengths, 'open');
    expect(hooked).toBeAllclose(hookedBy(allRows.map(() => 1)), tolerances.activations);
  });

  it('leaves every bit of the rows whose gate is shut', async () => {
    const { hooked, open } = await programs.get(gate)!.run(filled);
    for (const row of allRows.filter((r) => open[r] === 0)) {
      const of = (data: Float32Array) => data.slice(row * dModel, (row + 1) * dModel);
      expect(of(hooked)).toEqual(of(base));
    }
  });
});
