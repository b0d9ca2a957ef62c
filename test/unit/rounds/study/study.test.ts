import { beforeAll, describe, expect, it } from 'vitest';
import type { StudyCell } from '../../../../src/evaluation/index.js';
import { openEditSession } from '../../../../src/rounds/session/edit-session.js';
import { type StudyRequest, type StudyResult, study } from '../../../../src/rounds/study/study.js';
import { cellsOf } from '../../../../src/rounds/study/study-cell.js';
import { BundledModel } from '../../../support/bundled-model.js';

describe('the cells of a study', () => {
  const places = cellsOf({
    splits: [1, 4],
    weights: [0, 0.1],
    histories: ['kept', 'forgotten'],
    gates: ['none', 'nearest'],
  });
  const named = places.map(({ gate, history, rounds, momentWeight }) => `${gate} ${history} ${rounds} ${momentWeight}`);

  it('hold one round once, since it has no history', () => {
    expect(named.slice(0, 6)).toEqual([
      'none kept 1 0',
      'none kept 4 0',
      'none kept 1 0.1',
      'none kept 4 0.1',
      'none forgotten 4 0',
      'none forgotten 4 0.1',
    ]);
    const forgotten = cellsOf({ splits: [1, 4], weights: [0], histories: ['forgotten'], gates: ['none'] });
    expect(forgotten.map(({ history, rounds }) => [rounds, history])).toEqual([
      [1, 'kept'],
      [4, 'forgotten'],
    ]);
  });

  it('vary the rounds alone behind nearest', () => {
    expect(named.slice(6)).toEqual(['nearest kept 1 0', 'nearest kept 4 0']);
    const forgotten = cellsOf({ splits: [4], weights: [0, 0.1], histories: ['forgotten'], gates: ['nearest'] });
    expect(forgotten).toEqual([{ gate: 'nearest', history: 'kept', rounds: 4, momentWeight: 0 }]);
  });
});

describe('a study of the bundled model', () => {
  const settings = { momentWeight: 0.1, steps: 12, contextTokens: 4 };
  let bundled: BundledModel;
  let request: StudyRequest;
  let result: StudyResult;
  const stages: string[] = [];
  const notices: string[] = [];
  beforeAll(async () => {
    bundled = await BundledModel.open(4);
    const overlong = { ...bundled.edits[0], id: 'overlong', prompt: `${'w '.repeat(600)}{} lives in` };
    request = {
      ...bundled,
      edits: [...bundled.edits, overlong],
      settings,
      splits: [1, 2],
      histories: ['kept', 'forgotten'],
      gates: ['none', 'nearest'],
    };
    result = await study(request, {
      onProgress: ({ stage, done, total, detail }) => stages.push(`${stage} ${done}/${total} ${detail ?? ''}`),
      onNotice: (notice) => notices.push(notice),
    });
  });
  const cellOf = (gate: string, rounds: number, momentWeight: number, history = 'kept') =>
    result.cells.find(
      (cell) =>
        cell.gate === gate && cell.rounds === rounds && cell.momentWeight === momentWeight && cell.history === history,
    ) as StudyCell;

  it('writes what the model takes, names the rest, and searches each value once', () => {
    expect(result).toMatchObject({ edits: 4, measured: 4, subjects: 4 });
    expect(notices).toContainEqual(expect.stringMatching(/^Edit overlong was rejected: prompt with its target/));
    expect(stages.filter((stage) => /^values 4\/4 stored/.test(stage))).toHaveLength(1);
    expect(stages.at(-1)).toMatch(/^cells 8\/8 /);
  });

  it('measures the model as a round with the same settings does, behind the gate', async () => {
    const session = await openEditSession({ ...bundled, settings: { ...settings, gate: 'nearest' }, criteria: null });
    const rounds = session.edit([bundled.edits.slice(0, 2), bundled.edits.slice(2)], { compareGates: false });
    const [, { value: last }] = [await rounds.next(), await rounds.next()];
    await session.close();
    const cell = cellOf('nearest', 2, 0);
    expect(cell.lastRound.reliability).toBe(last!.metrics.reliability);
    expect(cell.firstRound.reliability).toBe(last!.metrics.retention);
    // A round's segments are in eight bits, a study's rows are not.
    expect(cell.perplexityRatio).toBeCloseTo(last!.metrics.perplexityRatio!, 3);
  });

  it('keeps the edits without a gate, and in one round as in two where each solve knows the rounds before', () => {
    expect(cellOf('none', 1, 0)).toMatchObject({ reliability: 1, firstRound: { reliability: 1 } });
    expect(cellOf('none', 1, 0).writtenShare).toBeGreaterThan(0.9999);
    expect(cellOf('none', 1, 0.1).writtenShare).toBeLessThan(0.9999);
    const change = (cell: StudyCell) => cell.relativeChange;
    expect(change(cellOf('none', 2, 0.1)) / change(cellOf('none', 1, 0.1))).toBeCloseTo(1, 1);
    expect(change(cellOf('none', 2, 0.1, 'forgotten'))).not.toBe(change(cellOf('none', 2, 0.1)));
  });

  it('publishes nothing, and takes finished cells from the store', async () => {
    const keys = (await bundled.store.list('')).filter((key) => key.includes('/studies/'));
    expect(keys).toHaveLength(8);
    const again: string[] = [];
    const { cells } = await study(request, {
      onProgress: ({ stage, detail }) => again.push(`${stage} ${detail ?? ''}`),
    });
    expect(cells).toEqual(result.cells);
    expect(again.filter((line) => line.startsWith('cells'))).toEqual(Array(8).fill('cells stored'));
    expect(again.filter((line) => line.startsWith('values'))).toEqual([]);
  });

  it('shows its table and its charts in one page', () => {
    expect(result.report).toMatch(/<table aria-label="Cells of the study">/);
    expect(result.report.match(/<svg /g)).toHaveLength(3);
    expect(result.report).toContain('0 (EMMET)');
    expect(result.report).not.toMatch(/(?:src|href)="https?:/);
  });

  it('refuses more rounds than subjects, and more layers than one', async () => {
    await expect(study({ ...request, splits: [5] })).rejects.toThrow(
      '--splits: at most 4 rounds, one for each subject, got 5',
    );
    await expect(study({ ...request, settings: { ...settings, layers: [0, 1] } })).rejects.toThrow(
      'layers of a study: one layer, as in the paper, got [0, 1]',
    );
  });
});
