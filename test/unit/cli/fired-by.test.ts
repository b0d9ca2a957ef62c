import { expect, it } from 'vitest';
import { firedBy } from '../../../src/cli/tables/fired-by.js';

it.each([
  [{ subject: 'Ann', editIds: ['r1-01'] }, 'Ann (r1-01)'],
  [{ subject: 'Ann', editIds: ['r1-01', 'r2-03'] }, 'Ann (2 edits)'],
  [{ subject: null, editIds: [] }, undefined],
])('%j is told as %j', (firing, told) => {
  expect(firedBy(firing)).toBe(told);
});
