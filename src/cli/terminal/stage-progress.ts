import type { ProgressBar } from './progress.js';
import type { Terminal } from './terminal.js';

/** Where a job of several stages stands, as it is told. */
interface StageAdvance {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
  readonly unit: string;
  readonly detail?: string;
}

/** The ears of a command: a bar for each stage, one after the other, and remarks between them. */
export interface StageProgress {
  readonly onProgress: (advance: StageAdvance) => void;
  readonly onNotice: (message: string) => void;
  /** Ends the last bar. */
  readonly finish: () => void;
}

/** Shows the stages of a job on a terminal; fits a `Listener`. */
export function stageProgress(terminal: Terminal): StageProgress {
  let current: { readonly stage: string; readonly bar: ProgressBar } | undefined;
  const finish = () => {
    current?.bar.finish();
    current = undefined;
  };
  return {
    onProgress: ({ stage, done, total, unit, detail }) => {
      if (current?.stage !== stage) {
        finish();
        current = { stage, bar: terminal.progress(stage.padEnd(labelWidth), total, unit) };
      }
      current?.bar.update(done, detail, total);
    },
    onNotice: (message) => terminal.note(message),
    finish,
  };
}

const labelWidth = 10;
