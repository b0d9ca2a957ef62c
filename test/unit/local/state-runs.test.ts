import { describe, expect, it } from 'vitest';
import { describeEvent } from '../../../src/cli/terminal/workflow-progress.js';
import type { HistoryEvent } from '../../../src/local/index.js';
import { stateRuns } from '../../../src/local/state-runs.js';

const event = (
  second: number,
  type: HistoryEvent['type'],
  state: string,
  rest: Partial<HistoryEvent> = {},
): HistoryEvent => ({
  at: new Date(Date.UTC(2026, 2, 1, 9, 0, second)).toISOString(),
  type,
  state,
  stateType: 'Task',
  ...rest,
});

describe('the stays in states', () => {
  it('are one for each entry, with tries, errors and seconds; states that only lead on are left out', () => {
    const runs = stateRuns([
      event(0, 'StateEntered', 'Begin', { stateType: 'Pass' }),
      event(0, 'StateEntered', 'Plan'),
      event(1, 'StateFailed', 'Plan', { error: 'TransientError' }),
      event(2, 'StateRetried', 'Plan', { detail: { attempt: 1 } }),
      event(3, 'StateExited', 'Plan'),
      event(3, 'StateEntered', 'Values', { stateType: 'Map' }),
      event(3, 'StateEntered', 'ValuesShard', { index: 0 }),
      event(3, 'StateEntered', 'ValuesShard', { index: 1 }),
      event(4, 'StateExited', 'ValuesShard', { index: 1 }),
      event(5, 'TaskAttemptFailed', 'ValuesShard', { detail: { attempt: 2 } }),
      event(6, 'StateFailed', 'ValuesShard', { index: 0, error: 'PermanentError' }),
      event(6, 'StateFailed', 'Values', { stateType: 'Map', error: 'PermanentError' }),
      event(6, 'StateCaught', 'Values', { stateType: 'Map' }),
      event(6, 'StateExited', 'Values', { stateType: 'Map' }),
      event(7, 'StateEntered', 'Plan'),
    ]);
    expect(runs).toMatchObject([
      { state: 'Plan', index: null, seconds: 3, attempts: 2, error: null },
      { state: 'Values', index: null, seconds: 3, attempts: 1, error: 'PermanentError' },
      { state: 'ValuesShard', index: 0, seconds: null, error: 'PermanentError' },
      { state: 'ValuesShard', index: 1, seconds: 1, attempts: 3, error: null },
      { state: 'Plan', seconds: null, attempts: 1 },
    ]);
  });
});

describe('an event in words', () => {
  it.each([
    ['Ingest', { outcome: 'accepted', accepted: 40, units: 2, rejected: 0 }, '40 edits accepted for 2 rounds'],
    [
      'Ingest',
      { outcome: 'accepted', accepted: 1, units: 1, rejected: 3, reportKey: 'r.json' },
      '1 edits accepted for 1 round, 3 lines rejected (r.json)',
    ],
    ['Ingest', { outcome: 'rejected', reason: 'no line', reportKey: '' }, 'rejected: no line'],
    ['AcquireLease', { acquired: false, owner: 'local:a' }, 'the model is held by local:a'],
    ['Plan', { hasRound: true, roundId: 'ab', edits: 7 }, 'round ab: 7 edits'],
    ['Plan', { hasRound: false }, 'nothing is pending'],
    ['Judge', { decision: 'publish', reason: '' }, 'publish'],
    ['Judge', { decision: 'repeat', reason: 'rejected 1' }, 'repeat: rejected 1'],
    ['Publish', { version: 4 }, 'version 4'],
    ['RejectRound', { version: 0, reportKey: 'r.html' }, 'rejected; see r.html'],
    ['Collect', { models: [], started: 0 }, undefined],
  ])('%s %j', (state, detail, text) => {
    expect(describeEvent(event(0, 'StateExited', state, { detail }))).toBe(text);
  });
});
