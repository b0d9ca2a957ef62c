import { describe, expect, it } from 'vitest';
import { completeEdit, overwrites, parseBatch } from '../../../src/evaluation/index.js';

/** The same subject and prompt four times: composed, decomposed, in another case, and with other white space. */
const composed = { subject: 'Zoë Łódź', prompt: '{} was born in', targetNew: 'Oslo' };
const variants = {
  'in NFD': { ...composed, subject: composed.subject.normalize('NFD') },
  'in another case': { ...composed, subject: 'zoë łódź', prompt: '{} WAS born in' },
  'with other white space': { ...composed, subject: 'Zoë\u00a0Łódź', prompt: '{}  was born\tin' },
};
const batchOf = (...records: readonly object[]) =>
  parseBatch(new TextEncoder().encode(records.map((record) => `${JSON.stringify(record)}\n`).join('')), 'a batch');

describe.each(Object.entries(variants))('a fact %s', (_, variant) => {
  it('contradicts the other one with another target, and says why nobody sees a difference', async () => {
    const { edits, rejected } = await batchOf(composed, { ...variant, targetNew: 'Rome' });
    expect(edits).toEqual([]);
    expect(rejected.map(({ lineNumber }) => lineNumber)).toEqual([1, 2]);
    for (const { reason } of rejected) {
      expect(reason).toMatch(/^conflict: .* differ in Unicode form, white space or case alone\)$/);
    }
  });

  it('repeats the other one with the same target', async () => {
    const { edits, rejected } = await batchOf(composed, variant);
    expect(edits.map(({ subject }) => subject)).toEqual([composed.subject]);
    expect(rejected[0].reason).toContain('as on line 1 (subject or prompt differ in Unicode form');
  });

  it('is edited as it is written', async () => {
    const { edits } = await batchOf(variant);
    expect(edits).toMatchObject([{ prompt: variant.prompt, subject: variant.subject }]);
  });

  it('overwrites the other one', () => {
    const [older, newer] = [completeEdit({ ...composed, id: 'old' }), completeEdit({ ...variant, id: 'new' })];
    expect(overwrites([newer], [older])).toEqual([{ newId: 'new', oldId: 'old' }]);
  });
});

it('of another subject or prompt is another one', async () => {
  const { edits } = await batchOf(
    composed,
    { ...composed, subject: 'Zoe Łódź' },
    { ...composed, prompt: '{} lives in' },
  );
  expect(edits).toHaveLength(3);
});
