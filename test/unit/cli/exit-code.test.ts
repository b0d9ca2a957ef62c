import { readFile } from 'node:fs/promises';
import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { failureOf } from '../../../src/cli/terminal/exit-code.js';
import { InvalidInputError, StaleBaseError, TransientError } from '../../../src/errors.js';

describe('the exit code', () => {
  it('is 64 for a request that can never succeed', () => {
    const failure = failureOf(new InvalidInputError('--seed', 'a whole number', '"x"'));
    expect(failure).toEqual({ exitCode: 64, message: '--seed: a whole number, got "x"', isUnexpected: false });
    const usage = failureOf(
      new CommanderError(1, 'commander.unknownOption', "error: unknown option '--x'\n(Did you?)"),
    );
    expect(usage).toEqual({ exitCode: 64, message: "unknown option '--x' (Did you?)", isUnexpected: false });
  });

  it('is 1 for what may pass another time', () => {
    expect(failureOf(new StaleBaseError('m', 1, 2))).toMatchObject({ exitCode: 1, isUnexpected: false });
    expect(failureOf(new TransientError('hub: a connection, got none'))).toMatchObject({ exitCode: 1 });
  });

  it('is 1 for what nobody foresaw, and only there a stack may help', async () => {
    expect(failureOf(new TypeError('x is\n  undefined'))).toEqual({
      exitCode: 1,
      message: 'unexpected: x is undefined',
      isUnexpected: true,
    });
    expect(failureOf('text')).toMatchObject({ exitCode: 1, message: 'unexpected: text', isUnexpected: true });
    expect(failureOf(undefined)).toMatchObject({ exitCode: 1, isUnexpected: true });
    const absent = await readFile('/nothing/there').catch(failureOf);
    expect(absent).toMatchObject({ exitCode: 1, isUnexpected: false });
  });

  it('is 0 for help that was asked for', () => {
    expect(failureOf(new CommanderError(0, 'commander.helpDisplayed', '(outputHelp)')).exitCode).toBe(0);
  });
});
