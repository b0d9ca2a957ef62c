/** Listens for Ctrl-C and SIGTERM. */
export interface StopListener {
  readonly isStopped: () => boolean;
  /** Resolves once the work that the first signal started is done. */
  readonly stopped: Promise<void>;
  /** Stops listening. */
  dispose(): void;
}

const signals = ['SIGINT', 'SIGTERM'] as const;

/** Longer than tasks may take to store what they have finished. */
const defaultGraceSeconds = 30;

/**
 * Calls `stop` with the first signal. The second one ends the process at once, and so does the end of the grace time.
 */
export function onStop(
  stop: (signal: NodeJS.Signals) => Promise<void>,
  graceSeconds = defaultGraceSeconds,
): StopListener {
  let isStopped = false;
  let resolve: () => void;
  let reject: (error: unknown) => void;
  const stopped = new Promise<void>((...both) => {
    [resolve, reject] = both;
  });
  // Callers that await `stopped` get a failure. If none does, the rejection must not end the process.
  stopped.catch(() => undefined);
  const hear = (signal: NodeJS.Signals) => {
    if (isStopped) process.exit(1);
    isStopped = true;
    // A call of the operating system that never returns would keep the process from ending in any other way.
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 1000 * graceSeconds).unref();
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
