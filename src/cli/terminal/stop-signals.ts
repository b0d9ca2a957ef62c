/** What listens for Ctrl-C and SIGTERM. */
export interface StopListener {
  readonly isStopped: () => boolean;
  /** Resolves with the first signal, after what it set off is done. */
  readonly stopped: Promise<void>;
  /** No longer listens. */
  dispose(): void;
}

const signals = ['SIGINT', 'SIGTERM'] as const;

/** Calls `stop` with the first signal; the second one ends the process at once. */
export function onStop(stop: (signal: NodeJS.Signals) => Promise<void>): StopListener {
  let isStopped = false;
  let resolve: () => void;
  let reject: (error: unknown) => void;
  const stopped = new Promise<void>((...both) => {
    [resolve, reject] = both;
  });
  // Whoever waits hears of a failure.
  stopped.catch(() => undefined);
  const hear = (signal: NodeJS.Signals) => {
    if (isStopped) process.exit(1);
    isStopped = true;
    stop(signal).then(resolve, reject);
  };
  for (const signal of signals) process.on(signal, hear);
  return {
    isStopped: () => isStopped,
    stopped,
    dispose: () => {
      for (const signal of signals) process.off(signal, hear);
    },
  };
}
