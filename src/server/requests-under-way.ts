import { refusal } from './refusal.js';

/** A request that is being answered. */
export interface RequestUnderWay {
  /** Aborts when the client leaves, time runs out or the service stops. Its reason is the error to refuse with. */
  readonly signal: AbortSignal;
  /** Rejects with the same reason. Race it against a wait for the client, so that the wait ends in time. */
  readonly aborted: Promise<never>;
  /** Aborts the request. */
  abort(reason: unknown): void;
  /** Aborts the request because its client has left. */
  leave(): void;
  /** Must be called once the request is over. */
  end(): void;
}

/** Keeps track of the requests that are being answered, so that a stopping service can wait for them or abort them. */
export class RequestsUnderWay {
  readonly #controllers = new Set<AbortController>();
  #onIdle: (() => void) | undefined;

  readonly #timeoutSeconds: number;

  constructor(timeoutSeconds: number) {
    this.#timeoutSeconds = timeoutSeconds;
  }

  begin(client: AbortSignal): RequestUnderWay {
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    // Without a handler, a rejection that nothing waits for would end the process.
    aborted.catch(() => undefined);
    const abort = (reason: unknown) => controller.abort(reason);
    const leave = () => abort(clientLeft());
    const expire = () => abort(timedOut(this.#timeoutSeconds));
    const timer = setTimeout(expire, 1000 * this.#timeoutSeconds).unref();
    client.addEventListener('abort', leave, { once: true });
    if (client.aborted) leave();
    this.#controllers.add(controller);
    const end = () => {
      clearTimeout(timer);
      client.removeEventListener('abort', leave);
      this.#controllers.delete(controller);
      if (this.#controllers.size === 0) this.#onIdle?.();
    };
    return { signal, aborted, abort, leave, end };
  }

  /** Waits until all requests are over. Those that take longer than `seconds` are aborted. */
  async drain(seconds: number): Promise<void> {
    if (this.#controllers.size === 0) return;
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    const abortAll = () => {
      for (const controller of this.#controllers) controller.abort(stoppingRefusal());
    };
    const timer = setTimeout(abortAll, 1000 * seconds);
    await idle;
    clearTimeout(timer);
  }
}

/** The refusal of requests while the service stops. */
export const stoppingRefusal = () =>
  refusal(503, 'service: running, got one that stops', { code: 'stopping', headers: { 'retry-after': '5' } });

const timedOut = (seconds: number) =>
  refusal(504, `request: an answer within ${seconds} seconds, got none`, { code: 'timeout' });

/** Appears only in the log, as the client is gone. */
const clientLeft = () => refusal(499, 'client: one that waits, got one that left', { code: 'client_left' });
