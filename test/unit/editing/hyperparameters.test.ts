import { describe, expect, it } from 'vitest';
import { resolveHyperparameters, valueLayer } from '../../../src/editing/index.js';
import { InvalidInputError } from '../../../src/errors.js';
import type { ModelConfig } from '../../../src/model/index.js';

const config = { layers: 4, dInner: 8, dModel: 4 } as ModelConfig;

describe('hyperparameters', () => {
  it('need nothing but the layers, and the deepest one is the value layer', () => {
    const settings = resolveHyperparameters({ layers: [1, 3] }, config);
    expect(settings).toMatchObject({ gate: 'nearest', similarityThreshold: 0.6, klFactor: 0.0625, seed: 0 });
    expect(valueLayer(settings)).toBe(3);
  });

  it('go before the defaults where they are given', () => {
    const given = { layers: [0], momentWeight: 2, gate: 'sequence' as const, steps: 3 };
    expect(resolveHyperparameters(given, config)).toMatchObject(given);
  });

  it.each([
    { momentWeight: 0 },
    { similarityThreshold: 1.5 },
    { sequenceThreshold: Number.NaN },
    { learningRate: -1 },
    { steps: 2.5 },
    { stopLoss: -0.1 },
    { clampNormFactor: 0 },
    { weightDecay: -1 },
    { klFactor: -1 },
    { keepFactor: Number.POSITIVE_INFINITY },
    { contextTokens: -1 },
    { seed: 0.5 },
    { layers: [] },
    { layers: [-1] },
    { layers: [4] },
    { layers: [2, 1] },
    { layers: [1, 1] },
  ])('that do not fit are named: %j', (wrong) => {
    const resolve = () => resolveHyperparameters({ layers: [0], ...wrong }, config);
    expect(resolve).toThrow(InvalidInputError);
    expect(resolve).toThrow(new RegExp(`^hyperparameter ${Object.keys(wrong)[0]}[.:0-9]`));
  });

  it('that nobody knows are named too', () => {
    const misspelt = { layers: [0], momentWieght: 1 };
    expect(() => resolveHyperparameters(misspelt, config)).toThrow(/^hyperparameter .*momentWieght/);
  });

  it('name the layers that the model has', () => {
    const message = 'hyperparameter layers: ascending layers of 0 .. 3, got [1, 7]';
    expect(() => resolveHyperparameters({ layers: [1, 7] }, config)).toThrow(message);
  });
});
