import { refusal } from './refusal.js';

/** A request that is being answered. */
export interface RequestUnderWay {
  /** Set off when its client left, its time is up, or the service waits no longer; the reason is what it is refused with. */
  readonly signal: AbortSignal;
  /** Rejects with that reason: what waits for a client waits no longer than this. */
  readonly aborted: Promise<never>;
  /** Gives up. */
  abort(reason: unknown): void;
  /** Gives up since its client left. */
  leave(): void;
  /** To be called when it is answered. */
  end(): void;
}

/** The requests that computing goes on for, so that they can be ended and waited for. */
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
    // Nobody may be waiting.
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

  /** Waits for all of them; those that take longer are ended. */
  async drain(seconds: number): Promise<void> {
    if (this.#controllers.size === 0) return;
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    const abortAll = () => {
      for (const controller of this.#controllers) controller.abort(stopping());
    };
    const timer = setTimeout(abortAll, 1000 * seconds);
    await idle;
    clearTimeout(timer);
  }
}

/** What a request is refused with while the service stops. */
export const stopping = () =>
  refusal(503, 'service: running, got one that stops', { code: 'stopping', headers: { 'retry-after': '5' } });

const timedOut = (seconds: number) =>
  refusal(504, `request: an answer within ${seconds} seconds, got none`, { code: 'timeout' });

/** Nobody reads it. */
const clientLeft = () => refusal(499, 'client: one that waits, got one that left', { code: 'client_left' });
