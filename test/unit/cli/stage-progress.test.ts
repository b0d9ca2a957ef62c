import { describe, expect, it } from 'vitest';
import { stageProgress } from '../../../src/cli/terminal/stage-progress.js';
import { createTerminal } from '../../../src/cli/terminal/terminal.js';
import { RecordedStream } from './recorded-stream.js';

describe('the progress of stages', () => {
  it('is one bar after the other, with remarks between', () => {
    const errors = new RecordedStream();
    const streams = { output: new RecordedStream(), errors, environment: {}, now: () => 0 };
    const { onProgress, onNotice, finish } = stageProgress(createTerminal({}, streams));
    onProgress({ stage: 'values', done: 1, total: 2, unit: 'edits' });
    onProgress({ stage: 'values', done: 2, total: 2, unit: 'edits' });
    onNotice('edit b overwrites edit a');
    onProgress({ stage: 'solve', done: 3, total: 5, unit: 'layers', detail: 'layer 7' });
    finish();
    finish();
    expect(errors.text.split('\n')).toEqual([
      'edit b overwrites edit a',
      'values     100 % (2/2 edits, 0.0 s)',
      'solve       60 % (3/5 layers, 0.0 s)',
      '',
    ]);
  });
});
