import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { measurements } from '../bench/measurements.js';
import { markdownTable, requireMarkers, resultsPath, writeTables } from '../bench/results-page.js';
import { parts } from '../soak/options.js';
import { root } from './pages.js';

const page = 'Before.\n\n<!-- bench:rounds -->\nold\n<!-- /bench:rounds -->\n\nAfter.\n';

function pageIn(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'hookline-results-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'results.md');
  writeFileSync(path, text);
  return path;
}

describe('the page of results', () => {
  it('has a place for every measurement and every part of the soak', () => {
    requireMarkers(resultsPath(root), { tool: 'bench', args: [] }, Object.keys(measurements));
    requireMarkers(resultsPath(root), { tool: 'soak', args: [] }, parts);
  });

  it('gets a table with the command that makes it alone, without the folders of this machine', () => {
    const path = pageIn(page);
    const args = [
      '--only',
      'rounds,gemm',
      '--model',
      '/home/me/smollm2',
      '--json',
      '/tmp/x.json',
      '--write',
      '--quick',
    ];
    const table = markdownTable(
      ['', 'value', 'unit'],
      [
        ['a | b', '1.1', 'x'],
        ['c', '2', ''],
      ],
    );
    writeTables(path, { tool: 'bench', args }, 'rounds', table, new Date('2026-01-02T03:04:05Z'));
    const written = [
      '|  | value | unit |',
      '| --- | --: | --- |',
      '| a \\| b | 1.1 | x |',
      '| c | 2 |  |',
      '',
      '`npm run bench -- --only rounds --model smollm2 --quick`, 2026-01-02',
    ];
    expect(readFileSync(path, 'utf8')).toBe(page.replace('old', () => written.join('\n')));
    writeTables(path, { tool: 'bench', args: ['--only=rounds'] }, 'rounds', 'new');
    expect(readFileSync(path, 'utf8')).toMatch(
      /rounds -->\nnew\n\n`npm run bench -- --only rounds`, \d{4}-\d\d-\d\d\n/,
    );
  });

  it('is refused without a marker, by its name', () => {
    const call = { tool: 'soak', args: [] } as const;
    const missing = 'docs/results.md: <!-- soak:fuzz --> and below it <!-- /soak:fuzz -->, got none';
    expect(() => requireMarkers(pageIn(page), call, ['fuzz'])).toThrow(missing);
    const reversed = pageIn('<!-- /soak:fuzz -->\n<!-- soak:fuzz -->\n');
    expect(() => writeTables(reversed, call, 'fuzz', '')).toThrow(missing);
  });
});
