/** @file Translates failures of S3 into the errors of a store. */
import { ConflictError, HooklineError, PermanentError, TransientError } from '../errors.js';

/** The fields of the SDK's errors by which they are distinguished. */
interface Failure {
  readonly name: string;
  readonly message: string;
  readonly statusCode: number | undefined;
  /** Error code of the operating system or the HTTP client. */
  readonly code: string | undefined;
  /** How often the SDK sent the request. */
  readonly attempts: number;
}

/** Reads an SDK error, of which any field may be missing. */
export function s3FailureOf(error: unknown): Failure {
  const { name, message, code, $metadata } = Object(error) as {
    name?: unknown;
    message?: unknown;
    code?: unknown;
    $metadata?: { httpStatusCode?: number; attempts?: number };
  };
  return {
    name: typeof name === 'string' ? name : '',
    message: typeof message === 'string' ? message : String(error),
    statusCode: $metadata?.httpStatusCode,
    code: typeof code === 'string' ? code : undefined,
    attempts: $metadata?.attempts ?? 1,
  };
}

/** Whether the object is absent, as opposed to its bucket. */
export const isNoSuchKey = ({ statusCode, name }: Failure): boolean => statusCode === 404 && name !== 'NoSuchBucket';

/** The SDK throws the answer "not modified" as an error. */
export const isNotModified = ({ statusCode }: Failure): boolean => statusCode === 304;

export const isPreconditionFailed = ({ statusCode }: Failure): boolean => statusCode === 412;

/** Another conditional write or a delete was under way, and S3 wants the request again. */
export const isConflict = ({ statusCode }: Failure): boolean => statusCode === 409;

const throttlingNames =
  /^(SlowDown|Throttl|TooManyRequests|RequestLimitExceeded|BandwidthLimitExceeded|ServiceUnavailable)/;
const brokenConnection = /^(TimeoutError|RequestTimeout|NetworkingError|IncompleteBody)/;

/** Whether the same request may succeed later: throttling, a failing service, a broken network. */
export function isTransient(failure: Failure): boolean {
  const { name, message, statusCode, code } = failure;
  if (statusCode === 429 || (statusCode ?? 0) >= 500) return true;
  if (throttlingNames.test(name) || brokenConnection.test(name)) return true;
  return (
    /^(E(?!RR_)[A-Z]|ERR_SSL|ERR_STREAM_PREMATURE_CLOSE)/.test(code ?? '') ||
    /^(Checksum mismatch|aborted)/.test(message)
  );
}

const credentialNames =
  /^(Credentials|TokenProvider|ExpiredToken|InvalidAccessKeyId|InvalidToken|SignatureDoesNotMatch)/;

/**
 * The error that a store raises for a failure of S3: one line that names the place and what was required.
 *
 * @param what such as `get of s3://bucket/key`
 * @param action the permission that the request needs, such as `s3:GetObject`
 */
export function storeError(error: unknown, what: string, action: string, key: string): unknown {
  if (error instanceof HooklineError) return error;
  const failure = s3FailureOf(error);
  const { name, statusCode } = failure;
  const got = oneLine(failure);
  const options = { cause: withoutResponse(error) };
  if (isConflict(failure)) return new ConflictError(key, options);
  if (isTransient(failure)) return new TransientError(`${what}: an answer from S3, got ${got}`, options);
  if (name === 'NoSuchBucket') return new PermanentError(`${what}: a bucket that exists, got ${got}`, options);
  if (credentialNames.test(name)) return new PermanentError(`${what}: valid AWS credentials, got ${got}`, options);
  if (statusCode === 403)
    return new PermanentError(`${what}: permission ${action} (and s3:ListBucket), got ${got}`, options);
  if (/region is missing/i.test(failure.message) || statusCode === 301)
    return new PermanentError(`${what}: the bucket's region in AWS_REGION, got ${got}`, options);
  if (statusCode !== undefined) return new PermanentError(`${what}: a request that S3 takes, got ${got}`, options);
  return error;
}

/** The SDK's errors contain the whole reply, with its connection and the signed request, which must not be logged. */
function withoutResponse(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack } = error;
  return Object.assign(new Error(message), { name, stack });
}

function oneLine({ name, message, statusCode, code }: Failure): string {
  const status = statusCode === undefined ? (code ?? '') : `status ${statusCode}`;
  return [name, status, message]
    .filter((part) => part !== '')
    .join(', ')
    .replace(/\s+/g, ' ')
    .slice(0, 300);
}
