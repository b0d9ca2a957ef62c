import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandLine } from '../support/command-line.js';

const aldermark = (...parts: string[]): string => join(import.meta.dirname, '../../examples/aldermark', ...parts);
const batch = aldermark('batches/round-1.jsonl');

let commandLine: CommandLine;
let folder: string;
beforeAll(() => {
  commandLine = new CommandLine();
  folder = mkdtempSync(join(tmpdir(), 'hookline-study-'));
});
afterAll(() => {
  commandLine.remove();
  rmSync(folder, { recursive: true, force: true });
});

const run = (...words: string[]) =>
  commandLine.run([
    ...['study', batch, ...words, '--model', aldermark('model'), '--store', join(folder, 'store')],
    ...['--corpus', aldermark('corpus.txt'), '--max-tokens', '1500'],
  ]);

describe('study', () => {
  const report = () => join(folder, 'study.html');
  const words = ['--edits', '2', '--splits', '1,2', '--weights', '0.1', '--set', 'steps=12', 'contextTokens=4'];

  it('prints a line for each cell, and writes a report', async () => {
    const { exitCode, output, errors } = await run(...words, '--report', report());
    expect({ exitCode, errors }).toMatchObject({ exitCode: 0 });
    const lines = output.trim().split('\n');
    expect(lines[0]).toMatch(
      /^gate +earlier rounds +rounds x edits +lambda \/ D +reliability .* first round .* seconds$/,
    );
    expect(lines.slice(1, 6).map((line) => line.split(/ {2,}/).slice(0, 4))).toEqual([
      ['none', '–', '1 x 2', '0.1'],
      ['none', 'kept', '2 x 1', '0.1'],
      ['none', 'forgotten', '2 x 1', '0.1'],
      ['nearest', '–', '1 x 2', '0.1'],
      ['nearest', 'kept', '2 x 1', '0.1'],
    ]);
    expect(lines.at(-1)).toBe(`report: ${report()}`);
    expect(readFileSync(report(), 'utf8')).toContain('Cells of the study');
    expect(errors).toMatch(/cells +100 % \(5\/5 cells/);
    expect(errors).toContain('no held-out text');
  });

  it('goes on from what is stored, and gives one JSON value', async () => {
    const { exitCode, output, errors } = await run(...words, '--gate', 'none', '--report', report(), '--json');
    expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
    const { cells, edits, settings } = JSON.parse(output) as {
      readonly cells: readonly { readonly rounds: number; readonly perplexityRatio: number | null }[];
      readonly edits: number;
      readonly settings: { readonly steps: number };
    };
    expect(cells.map(({ rounds, perplexityRatio }) => [rounds, perplexityRatio])).toEqual([
      [1, null],
      [2, null],
      [2, null],
    ]);
    expect([edits, settings.steps]).toEqual([2, 12]);
  });

  it.each([
    [['--splits', '1,0'], '--splits: a whole number of at least 1, got "0"'],
    [['--gate', 'sequence'], '--gate: some of none, nearest, key, got "sequence"'],
    [['--weights', '-1'], '--weights: a number of at least 0, got "-1"'],
    [['--report', '/nowhere/x.html'], '--report: a file in an existing folder, got /nowhere/x.html'],
  ])('refuses %s in one line', async (wrong, message) => {
    const { exitCode, errors } = await run(...wrong);
    expect({ exitCode, errors }).toEqual({ exitCode: 64, errors: `error: ${message}\n` });
  });
});
