import { describe, expect, it } from 'vitest';
import type { StudyCell, StudyData } from '../../../src/evaluation/report/study-data.js';
import { studyPage } from '../../../src/evaluation/report/study-page.js';
import { fullReport, hostile } from './report-sample.js';

const cell = (rounds: number, momentWeight: number, more: Partial<StudyCell> = {}): StudyCell => ({
  gate: 'none',
  history: 'kept',
  rounds,
  momentWeight,
  reliability: 0.9,
  generality: 0.8,
  portability: null,
  locality: 0.7,
  sameSubjectLocality: 0.6,
  efficacySuccess: 1,
  paraphraseSuccess: 1,
  neighborhoodSuccess: 0.5,
  score: 0.75,
  perplexityRatio: 1.01,
  klToBase: 0.02,
  firstRound: { reliability: 0.5, generality: 0.25 },
  lastRound: { reliability: 1, generality: null },
  relativeChange: 0.125,
  writtenShare: 0.999,
  seconds: 3,
  ...more,
});
const { model, createdAt } = fullReport;
const page = (cells: readonly StudyCell[]): string => {
  const data: StudyData = {
    title: hostile,
    model,
    createdAt,
    edits: 18,
    measured: 9,
    cells,
    hyperparameters: { steps: 25 },
    notes: [hostile],
  };
  return studyPage(data).replaceAll('\u202f', ' ');
};
const rowsOf = (text: string) =>
  [...text.matchAll(/<tr>(<td.*?)<\/tr>/g)].map(([, row]) => row.replace(/<[^>]+>/g, '|'));

describe('the report of a study', () => {
  const both = [cell(1, 0), cell(4, 0), cell(4, 0, { history: 'forgotten', perplexityRatio: Number.MAX_VALUE })];

  it('has a row for each cell, with the history where there is one', () => {
    const [one, four, forgotten] = rowsOf(page(both));
    expect(one).toMatch(/^\|1 x 18\|\|–\|\|0 \(EMMET\)\|\|90.0 %\|\|80.0 %\|/);
    expect(four).toMatch(/^\|4 x 5\|\|kept\|/);
    expect(forgotten).toContain('|forgotten||0 (EMMET)|');
    expect(forgotten).toContain('|×1.80e308|');
    expect(page(both)).toContain('<strong>The same 18 edits</strong> in different numbers of rounds');
    expect(page(both)).toContain('9 measured after the last round');
  });

  it('draws forgotten rounds beside the single one, and no chart where none forgets', () => {
    const titles = (text: string) => [...text.matchAll(/<h3>(.*?)<\/h3>/g)].map(([, title]) => title);
    expect(titles(page(both))).toEqual(['Earlier rounds kept', 'Earlier rounds forgotten']);
    expect(titles(page(both.slice(0, 2)))).toEqual(['Earlier rounds kept']);
    const gated = both.slice(0, 2).map((own) => ({ ...own, gate: 'nearest' }));
    const sections = [...page([...both, ...gated]).matchAll(/<h2>(.*?)<\/h2>/g)].map(([, title]) => title);
    expect(sections).toEqual(['Without a gate', 'Behind the gate nearest', 'Settings', 'Notes']);
  });

  it('escapes what it is given, and can be drawn of nothing measured', () => {
    const nothing = { reliability: null, generality: null, locality: null, perplexityRatio: null };
    const text = page([cell(1, 0.02, nothing)]);
    expect(text).not.toContain(hostile);
    expect(rowsOf(text)[0]).toContain('|0.02||–||–||–|');
    expect(text.replace(/<script>.*?<\/script>/s, '')).not.toMatch(/NaN|undefined/);
  });
});
