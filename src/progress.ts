/** The progress of a long job. `total` may grow or shrink while it runs. */
export interface Progress {
  readonly stage:
    | 'upload'
    | 'download'
    | 'digest'
    | 'statistics'
    | 'factor'
    | 'values'
    | 'solve'
    | 'validate'
    | 'compare'
    | 'report'
    | 'publish';
  readonly done: number;
  readonly total: number;
  readonly unit: string;
  /** What is being worked on, in a few words. */
  readonly detail?: string;
}

/** What a job calls to report its progress and what it noticed. */
export interface Listener {
  readonly onProgress?: (progress: Progress) => void;
  /** Something the user should know that is no error. */
  readonly onNotice?: (message: string) => void;
}

/** A listener that adds the job's name to the detail of each progress, to tell similar jobs apart. */
export function describing(job: string, { onProgress, ...listener }: Listener): Listener {
  if (onProgress === undefined) return listener;
  return {
    ...listener,
    onProgress: (progress) => onProgress({ ...progress, detail: `${progress.detail ?? ''} ${job}`.trim() }),
  };
}
