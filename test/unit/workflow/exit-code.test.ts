import { describe, expect, it } from 'vitest';
import { PermanentError, StoreUnavailableError, TransientError } from '../../../src/errors.js';
import { exitCodeOf } from '../../../src/workflow/exit-code.js';

const refused = (code: string) => Object.assign(new Error(code), { code });

describe('the exit code of a task', () => {
  it.each([
    [new PermanentError('a'), 64],
    [new TransientError('a'), 1],
    [new TypeError('a'), 1],
    [new StoreUnavailableError('store', 'ENOSPC'), 75],
    [refused('ENOSPC'), 75],
    [refused('EROFS'), 75],
    [refused('ECONNRESET'), 1],
    ['a', 1],
    [undefined, 1],
  ])('after %s is %d', (error, exitCode) => {
    expect(exitCodeOf(error)).toBe(exitCode);
  });
});
