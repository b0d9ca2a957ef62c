import { randomUUID } from 'node:crypto';
import type { Usage } from './completion-bodies.js';
import type { ServiceLog } from './service-event.js';

/** Collects what the log line of one request will say. */
export class RequestTrace {
  readonly id = randomUUID();
  /** The name of the model that answers: `<model id>@<version>` or `base`. */
  model: string | undefined;
  /** Whether the answer is a stream, which goes on after the handler has returned. */
  isStreaming = false;
  #tokens: { readonly promptTokens?: number; readonly completionTokens?: number } = {};
  readonly #startedAt = performance.now();

  readonly #method: string;
  readonly #path: string;
  readonly #log: ServiceLog;
  readonly #onEnd: (status: number) => void;

  constructor(method: string, path: string, log: ServiceLog, onEnd: (status: number) => void) {
    this.#method = method;
    this.#path = path;
    this.#log = log;
    this.#onEnd = onEnd;
  }

  count({ prompt_tokens: promptTokens, completion_tokens: completionTokens }: Usage): void {
    this.#tokens = { promptTokens, completionTokens };
  }

  /** Logs an unexpected error. */
  fail(cause: unknown): void {
    const message = cause instanceof Error ? cause.message : String(cause);
    this.#log({ event: 'failed', id: this.id, message, cause });
  }

  end(status: number): void {
    const { id, model } = this;
    const milliseconds = Math.round(performance.now() - this.#startedAt);
    this.#onEnd(status);
    this.#log({
      event: 'request',
      id,
      method: this.#method,
      path: this.#path,
      status,
      milliseconds,
      ...(model && { model }),
      ...this.#tokens,
    });
  }
}

/** The variables that handlers find in Hono's context. */
export interface ServiceEnvironment {
  Variables: { trace: RequestTrace };
}
