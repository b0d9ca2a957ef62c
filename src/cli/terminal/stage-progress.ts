import type { ProgressBar } from './progress.js';
import type { Terminal } from './terminal.js';

/** A report of the progress of a job with several stages. */
interface StageAdvance {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
  readonly unit: string;
  readonly detail?: string;
}

/** The listeners of a command: they show one bar after the other for the stages, and remarks between them. */
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
