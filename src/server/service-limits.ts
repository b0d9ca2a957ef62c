/** Limits on what requests can use of this machine. */
export interface ServiceLimits {
  /** The largest request body. */
  readonly maxBodyBytes: number;
  /** The most new tokens of one choice. */
  readonly maxTokens: number;
  /** The most choices computed at once, over all requests. It is also the most that one request can ask for. */
  readonly maxConcurrency: number;
  /** The most requests that wait for their turn; any more are refused. */
  readonly maxQueue: number;
  /** The longest time from a request's arrival to the last token of its answer, including the wait. */
  readonly requestTimeoutSeconds: number;
  /** How long requests under way can still take when the service stops. */
  readonly drainSeconds: number;
}

export const defaultLimits: ServiceLimits = {
  maxBodyBytes: 256 * 1024,
  maxTokens: 512,
  maxConcurrency: 16,
  maxQueue: 64,
  requestTimeoutSeconds: 120,
  drainSeconds: 20,
};
