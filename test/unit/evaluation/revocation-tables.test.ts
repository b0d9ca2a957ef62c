import { describe, expect, it } from 'vitest';
import type { RevocationData } from '../../../src/evaluation/report/report-data.js';
import { reportPage } from '../../../src/evaluation/report/report-page.js';
import { emptyReport, hostile } from './report-sample.js';

const gone = {
  ...{ id: 'r1', subject: 'Ada', prompt: 'The home of {} is', targetNew: 'Oslo', writtenBy: 1 },
  ...{ reliabilityBefore: 1, reliabilityAfter: 0.25, baseAgreement: 1, firedBy: null },
  ...{ textBefore: ' Oslo.', textAfter: ' Rome.', textBase: ' Rome.' },
};
const changes = [
  { metric: 'Reliability', before: 1, after: 0.95, fallen: 1, worst: { id: 'r7', before: 1, after: 0.5 } },
  { metric: 'Generality', before: 0.9, after: 0.9, fallen: 0, worst: null },
  { metric: 'Locality', before: null, after: null, fallen: 0, worst: null },
];

function textOf(revocation: RevocationData): string {
  const page = reportPage({ ...emptyReport, revocation }).replace(/<(script|style)>.*?<\/\1>/gs, '');
  expect(page).not.toContain(hostile);
  return page
    .replace(/<[^>]+>/g, ' ')
    .replaceAll('\u202f', ' ')
    .replace(/\s+/g, ' ');
}

describe('the report of a revocation', () => {
  it('says what is gone, what the model says now, and what became of the others', () => {
    const text = textOf({ edits: [gone], kept: 1, changes });
    expect(text).toContain('1 edit revoked , 1 edit left; nothing was written.');
    expect(text).toContain('The home of Ada is r1 Oslo version 1 100 % → 25.0 % 100 % closed before Oslo. now Rome.');
    expect(text).toContain('base the same as now');
    expect(text).toContain('Reliability 100 % 95.0 % 1 100 % → 50.0 % r7');
    expect(text).toContain('Generality 90.0 % 90.0 % 0 none fell');
    expect(text).toContain('Locality – – – –');
  });

  it('names the earlier edit that does not come back, and the gate that still opens', () => {
    const overwrote = { id: 'r0', targetNew: 'Bern' };
    const text = textOf({ edits: [{ ...gone, overwrote, firedBy: 'r9', textBase: ' Bern.' }], kept: 1, changes });
    expect(text).toContain('Oslo had overwritten Bern r0');
    expect(text).toContain('by r9');
    expect(text).toContain('now Rome. base Bern.');
  });

  it('leaves the others out where there are none, and never takes a text for markup', () => {
    const texts = { textBefore: hostile, textAfter: hostile, textBase: '', targetNew: hostile, subject: hostile };
    const edits = [
      { ...gone, ...texts, id: hostile, firedBy: hostile, overwrote: { id: hostile, targetNew: hostile } },
    ];
    const text = textOf({ edits, kept: 0, changes: [] });
    expect(text).toContain('1 edit revoked , none is left; nothing was written.');
    expect(text).not.toContain('The other edits');
  });
});
