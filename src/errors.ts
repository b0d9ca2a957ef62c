/** @file Every error class of the project. A message reads `what: requirement, got value`. */

/** Base of all errors that hookline raises on purpose. */
export abstract class HooklineError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Trying again with the same input cannot help. Exit code 64. */
export class PermanentError extends HooklineError {}

/** Trying again later may help: a store that does not answer, a device out of memory. Exit code 1. */
export class TransientError extends HooklineError {}

/** The place where a store lies cannot be used now: it is full, read-only, gone or broken. It says nothing about the work. */
export class StoreUnavailableError extends TransientError {
  /** @param code of the operating system, such as `ENOSPC` */
  constructor(
    what: string,
    readonly code: string,
    options?: ErrorOptions,
  ) {
    super(`${what}: ${systemRequirements[code] ?? 'usable'}, got ${code}`, options);
  }
}

/** What is required where the operating system refuses with a code. */
const systemRequirements: Readonly<Record<string, string>> = {
  ENOSPC: 'free space on its disk',
  EDQUOT: 'space within the quota of its disk',
  EROFS: 'a disk that can be written',
  EACCES: 'the right to read and write it',
  EPERM: 'the right to read and write it',
  EIO: 'a disk that works',
  ENOENT: 'a folder that is there (was it moved, or is its disk not mounted?)',
};

const exhaustionCodes: readonly unknown[] = [
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EIO',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ESTALE',
];

/** Whether an error says that this machine lacks something for now, whatever the work is. */
export const isOfMachine = (error: unknown): boolean =>
  error instanceof StoreUnavailableError ||
  exhaustionCodes.includes((error as NodeJS.ErrnoException | undefined)?.code);

/** A value from outside does not meet its requirement. */
export class InvalidInputError extends PermanentError {
  constructor(
    readonly what: string,
    readonly requirement: string,
    readonly got: string,
    options?: ErrorOptions,
  ) {
    super(`${what}: ${requirement}, got ${got}`, options);
  }
}

/** A file is not of its format: truncated, damaged, or over a size limit. */
export class MalformedFileError extends PermanentError {
  constructor(
    readonly path: string,
    readonly requirement: string,
    readonly got: string,
    options?: ErrorOptions,
  ) {
    super(`${path}: ${requirement}, got ${got}`, options);
  }
}

/** The model's architecture is none of those supported. */
export class UnsupportedArchitectureError extends PermanentError {
  constructor(
    readonly architecture: string,
    readonly supported: readonly string[],
    /** The file that names it. */
    readonly path: string,
  ) {
    super(`${path}: model architecture: one of ${supported.join(', ')}, got ${architecture}`);
  }
}

/** A tensor's storage type is none of those supported. */
export class UnsupportedTensorTypeError extends PermanentError {
  constructor(
    readonly tensor: string,
    readonly type: string,
    readonly supported: readonly string[],
    /** The file that has it. */
    readonly path: string,
  ) {
    super(`${path}: type of tensor ${tensor}: one of ${supported.join(', ')}, got ${type}`);
  }
}

/** A symmetric matrix has no Cholesky factor. */
export class NotPositiveDefiniteError extends PermanentError {
  constructor(
    readonly matrix: string,
    readonly pivotIndex: number,
    readonly pivot: number,
  ) {
    super(`${matrix}: positive definite, got pivot ${pivot} at row ${pivotIndex}`);
  }
}

/** A file's content is not the content its manifest names. */
export class DigestMismatchError extends PermanentError {
  constructor(
    readonly path: string,
    readonly expected: string,
    readonly actual: string,
  ) {
    super(`${path}: SHA-256 ${expected}, got ${actual}`);
  }
}

/** The object store holds nothing under this key (404). */
export class NoSuchKeyError extends PermanentError {
  constructor(readonly key: string) {
    super(`object ${key}: present in the store, got nothing`);
  }
}

/** A conditional write found another state than it required (412). */
export class PreconditionFailedError extends PermanentError {
  constructor(
    readonly key: string,
    readonly condition: string,
  ) {
    super(`object ${key}: ${condition}, got another state`);
  }
}

/** Another write to the same key was under way (409). */
export class ConflictError extends TransientError {
  constructor(
    readonly key: string,
    options?: ErrorOptions,
  ) {
    super(`object ${key}: no concurrent write, got a conflict`, options);
  }
}

/** Another writer published since this round read its base. The round must run again on the new base. */
export class StaleBaseError extends TransientError {
  constructor(
    readonly modelId: string,
    readonly baseVersion: number | null,
    readonly latestVersion: number | null,
  ) {
    const name = (version: number | null) => (version === null ? 'no version' : `version ${version}`);
    super(
      `base of model ${modelId}: ${name(baseVersion)} unmoved, got ${name(latestVersion)} as latest by another writer`,
    );
  }
}

/** Some edits cannot be written. Their round goes on without them. */
export class UnwritableEditsError extends PermanentError {
  constructor(readonly edits: readonly { readonly id: string; readonly reason: string }[]) {
    super(edits.map(({ id, reason }) => `edit ${id}: ${reason}`).join('; '));
  }
}

/** A round did not meet the criteria, so nothing was published. */
export class RoundRejectedError extends HooklineError {
  constructor(
    readonly modelId: string,
    readonly reason: string,
  ) {
    super(`round of model ${modelId} rejected: ${reason}`);
  }
}

/** Rounds cannot succeed or failed too often. They are quarantined until somebody runs `hookline redrive`. */
export class RoundsQuarantinedError extends HooklineError {
  constructor(
    readonly modelId: string,
    readonly units: number,
  ) {
    super(
      `rounds of model ${modelId}: published or rejected, got ${units} quarantined ` +
        '(hookline executions says why; hookline redrive tries again)',
    );
  }
}
