import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';

/** The statuses of refused requests. 499 appears only in the log: the client closed the connection. */
export type RefusalStatus = 400 | 401 | 403 | 404 | 413 | 415 | 429 | 499 | 500 | 503 | 504;

/** What a refusal has besides its message: fields of OpenAI's error object, and headers. */
export interface RefusalDetails {
  /** The request parameter at fault. */
  readonly param?: string;
  /** An error name for programs, such as `model_not_found`. */
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Makes the error that refuses a request, in OpenAI's format: `{ error: { message, type, param, code } }`.
 * @param message `what: requirement, got value`
 */
export function refusal(status: RefusalStatus, message: string, details: RefusalDetails = {}): HTTPException {
  const { headers } = details;
  const res = Response.json(errorBody(status, message, details), { status, ...(headers && { headers }) });
  return new HTTPException(status as ContentfulStatusCode, { message, res });
}

/** The JSON body of an error response. */
export function errorBody(status: RefusalStatus, message: string, { param, code }: RefusalDetails = {}) {
  return { error: { message, type: typeOf(status), param: param ?? null, code: code ?? null } };
}

function typeOf(status: RefusalStatus): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}
