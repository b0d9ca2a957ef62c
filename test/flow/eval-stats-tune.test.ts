import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPreset } from '../../src/editing/index.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { CommandLine } from '../support/command-line.js';

const aldermark = (...parts: string[]): string => join(import.meta.dirname, '../../examples/aldermark', ...parts);
const batch = aldermark('batches/round-1.jsonl');
const corpus = ['--corpus', aldermark('corpus.txt'), '--max-tokens', '1500'];

let commandLine: CommandLine;
let folder: string;
let place: string[];
beforeAll(() => {
  commandLine = new CommandLine();
  folder = mkdtempSync(join(tmpdir(), 'hookline-tune-'));
  place = ['--model', aldermark('model'), '--store', join(folder, 'store')];
});
afterAll(() => {
  commandLine.remove();
  rmSync(folder, { recursive: true, force: true });
});

const run = (...words: string[]) => commandLine.run([...words, ...place]);

async function jsonOf<T>(...words: string[]): Promise<T> {
  const { exitCode, output, errors } = await run(...words, '--json');
  expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
  return JSON.parse(output) as T;
}

interface Statistics {
  readonly layers: readonly { layer: number; tokens: number; digest: string; condition: number; cached: boolean }[];
}
interface Evaluation {
  readonly version: number | null;
  readonly gate: string | null;
  readonly metrics: Readonly<Record<string, number | null>>;
  readonly protocols: Readonly<Record<string, string>>;
  readonly layers: readonly { readonly rows: number }[];
  readonly edits: readonly { readonly id: string }[];
}
describe('stats, edit, eval and tune, one after the other', () => {
  it('stats computes what is missing, once', async () => {
    const first = await run('stats', '--layers', '0', ...corpus);
    expect(first).toMatchObject({ exitCode: 0 });
    expect(first.output).toMatch(/^layer +tokens +digest +condition of C0 +seconds +from\n +0 +1500 +[0-9a-f]{12} +~ /);
    expect(first.output).toContain('the text');
    expect(first.errors).toContain('statistics 100 % (1500/1500 tokens');
    const { layers } = await jsonOf<Statistics>('stats', '--layers', '0,1', ...corpus);
    expect(layers.map(({ layer, cached }) => [layer, cached])).toEqual([
      [0, true],
      [1, false],
    ]);
    expect(layers[0].condition).toBeGreaterThan(10);
    expect(first.output).toContain(layers[0].digest.slice(0, 12));
  });

  it('tune finds settings, writes them as a preset, and leaves no version', async () => {
    const output = join(folder, 'hookline.json');
    const fixed = [
      '--set',
      'momentWeight=0.1',
      'similarityThreshold=0.6',
      'steps=15',
      'contextTokens=4',
      'learningRate=1',
    ];
    const words = ['tune', batch, '--limit', '2', '--layers', '0,1', '--output', output, ...corpus, ...fixed];
    const whole = await run(...words);
    expect(whole.exitCode).toBe(0);
    expect(whole.output.match(/<- best/g)).toHaveLength(1);
    expect(whole.output).toContain(`use it with  --preset ${output}`);
    expect(whole.errors).toContain('no held-out text');
    expect(whole.errors).toMatch(/trials +100 % \(2\/2 trials/);
    const preset = await readPreset(output);
    expect(preset).toMatchObject({ learningRate: 1, steps: 15, contextTokens: 4 });
    const keys = await new DirectoryObjectStore(join(folder, 'store')).list('');
    expect(keys.filter((key) => !key.includes('/statistics/'))).toEqual([]);
  });

  it('eval measures a version made with that preset, another gate, and the base model', async () => {
    const preset = join(folder, 'hookline.json');
    expect(await run('edit', batch, '--limit', '2', '--preset', preset)).toMatchObject({
      exitCode: 0,
    });
    const explained = await run('eval', batch, '--limit', '2', '--version', '1', '--explain');
    expect(explained.output).toContain('version 1, nearest gate: 2 edits');
    expect(explained.output).toMatch(/\nreliability +1\.000 +token accuracy: target tokens right/);
    expect(explained.output).toMatch(/\nsaid +1\.000 +live decoding: greedy text says/);
    expect(explained.output).toMatch(
      /r1-01 +edit +Doskymo Honnix lives in +Doskymo Honnix \(r1-01\) +"[^"]+" +\d+ +\d +\d\.\d{3}/,
    );
    const other = await jsonOf<Evaluation>('eval', batch, '--limit', '2', '--gate', 'sequence');
    expect(other).toMatchObject({ version: 1, gate: 'sequence', layers: [{ rows: expect.any(Number) }] });
    // Each of the two subjects has at least one form.
    expect(other.layers[0].rows).toBeGreaterThanOrEqual(2);
    expect(other.edits.map(({ id }) => id)).toEqual(['r1-01', 'r1-02']);
    expect(Object.keys(other.protocols)).toEqual(Object.keys(other.metrics));
    const base = await jsonOf<Evaluation>('eval', batch, '--limit', '2', '--base');
    expect(base).toMatchObject({ version: null, gate: null, metrics: { reliability: 0, locality: 1 } });
  });

  it('wrong calls are one line', async () => {
    const expectLine = async (words: string[], message: string) => {
      const { exitCode, output, errors } = await run(...words);
      expect({ exitCode, output }).toEqual({ exitCode: 64, output: '' });
      expect(errors).toMatch(/^error: [^\n]+\n$/);
      expect(errors).toContain(message);
    };
    await Promise.all([
      expectLine(['eval', batch, '--base', '--version', '1'], "option '--base' cannot be used with option '--version"),
      expectLine(['stats', '--layers', '0,0'], '--layers: different whole numbers such as 0,1,2, got "0,0"'),
      expectLine(
        ['stats', '--layers', '3', '--quiet'],
        '--corpus: a text file to compute the key statistics of layers 3',
      ),
      expectLine(['tune', batch, '--output', join(folder, 'none/x.json')], '--output: a file in an existing folder'),
      expectLine(['tune', batch, '--layers', '99'], 'hyperparameter layers: ascending layers of 0 .. 7, got [99]'),
    ]);
  });
});
