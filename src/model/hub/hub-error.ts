import { HubApiError } from '@huggingface/hub';
import { HooklineError, InvalidInputError, TransientError } from '../../errors.js';

/**
 * Translates a failed request into an error for the user.
 *
 * @param what the model or file that was asked for
 */
export function asHubError(error: unknown, what: string, hubUrl: string): unknown {
  if (error instanceof HooklineError) return error;
  if (error instanceof HubApiError) return ofStatus(error, what);
  const reason = connectionFailure(error);
  if (reason === undefined) return error;
  const message = `hub ${hubUrl}: a connection, got ${reason} (a model directory that is here already works without it)`;
  return new TransientError(message, { cause: error });
}

function ofStatus(error: HubApiError, what: string): HooklineError {
  const { statusCode } = error;
  const got = `HTTP ${statusCode}`;
  if (statusCode === 401 || statusCode === 403) {
    const requirement = 'a public model, or one that the token in HF_TOKEN may read';
    return new InvalidInputError(`hub model ${what}`, requirement, got, { cause: error });
  }
  if (statusCode >= 400 && statusCode < 500 && statusCode !== 408 && statusCode !== 429) {
    return new InvalidInputError(`hub model ${what}`, 'an existing model, revision and file', got, { cause: error });
  }
  return new TransientError(`hub model ${what}: an answer, got ${got}; try again later`, { cause: error });
}

/** Why a request got no answer; undefined for other failures. */
function connectionFailure(error: unknown): string | undefined {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : undefined;
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  const isFetch = error.message === 'fetch failed' || error.message === 'terminated' || error.name === 'TimeoutError';
  return isFetch || cause !== undefined ? (cause?.code ?? cause?.message ?? error.message) : undefined;
}
