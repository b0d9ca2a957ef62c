/** How much of this machine the service gives away. */
export interface ServiceLimits {
  /** Of a request's body. */
  readonly maxBodyBytes: number;
  /** Most new tokens of one choice. */
  readonly maxTokens: number;
  /** Choices computed at the same time, of all requests together; a request may ask for as many. */
  readonly maxConcurrency: number;
  /** Requests that wait for their turn; the next one is refused. */
  readonly maxQueue: number;
  /** From a request's arrival to the last token of its answer, waiting included. */
  readonly requestTimeoutSeconds: number;
  /** What requests under way get to end in when the service stops. */
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
