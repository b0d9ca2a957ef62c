import { expect } from 'vitest';
import type { EditState } from '../../src/editing/index.js';
import type { EditMemory } from '../../src/linalg/index.js';
import { tolerances } from './matchers.js';

/** Expects the same rows of both, and what is solved of them to be the same up to rounding. */
export function expectSameState(actual: EditState, expected: EditState): void {
  expect(actual.rowIds).toEqual(expected.rowIds);
  expect(actual.layers.map(settingsOf)).toEqual(expected.layers.map(settingsOf));
  actual.layers.forEach(({ memory }, i) => {
    expectSameMemory(memory, expected.layers[i].memory);
  });
}

/** The same of one layer's memory. */
export function expectSameMemory(actual: EditMemory, expected: EditMemory): void {
  const { coefficients, factor, ...published } = expected;
  expect(actual).toMatchObject(published);
  for (const name of ['coefficients', 'factor'] as const) {
    expect([actual[name].rows, actual[name].columns]).toEqual([expected[name].rows, expected[name].columns]);
    expect(actual[name].data).toBeAllclose(expected[name].data, tolerances.float64);
  }
}

const settingsOf = ({ memory: _, ...settings }: EditState['layers'][number]) => settings;
