import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, loadTokenizer } from '../../src/model/index.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { CommandLine } from '../support/command-line.js';
import { publishFiring } from '../support/firing-versions.js';

const model = join(import.meta.dirname, '../../examples/aldermark/model');

let commandLine: CommandLine;
let folder: string;
let place: string[];

beforeAll(async () => {
  commandLine = new CommandLine();
  folder = mkdtempSync(join(tmpdir(), 'hookline-export-'));
  const store = join(folder, 'store');
  const base = { model: await loadModel(model), tokenizer: await loadTokenizer(model) };
  const rounds = [{ addedIds: ['Aldermark', 'Anna'] }, { addedIds: ['Barnhill'], removedIds: ['Anna'] }];
  await publishFiring(new DirectoryObjectStore(store), 'aldermark', base, { rounds });
  place = ['--store', store, '--model', model];
});

afterAll(() => {
  commandLine.remove();
  rmSync(folder, { recursive: true, force: true });
});

interface Measures {
  readonly reliability: number;
  readonly locality: number | null;
}

interface Record {
  readonly gated: boolean;
  readonly version: number;
  readonly metrics: { readonly served: Measures; readonly exported: Measures } | null;
}

async function exported(...words: string[]): Promise<Record> {
  const { exitCode, output, errors } = await commandLine.run(['export', ...words, ...place, '--json']);
  expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
  return JSON.parse(output) as Record;
}

describe('an exported version', () => {
  it.each([
    ['lora', 'adapter_model.safetensors'],
    ['merged', 'model.safetensors'],
  ])('as %s says that it is ungated, and what was measured on it beside the version', async (kind, file) => {
    const target = join(folder, kind);
    const record = await exported(kind, target);
    expect(record).toMatchObject({ kind, gated: false, modelId: 'aldermark', version: 2 });
    expect(record.metrics?.served.reliability).toBe(record.metrics?.exported.reliability);
    expect(existsSync(join(target, file))).toBe(true);
    expect(JSON.parse(readFileSync(join(target, 'hookline.json'), 'utf8'))).toEqual(record);
  });

  it('can be an earlier one, and goes unmeasured if nobody wants it measured', async () => {
    const record = await exported('lora', join(folder, 'earlier'), '--version', '1', '--rank', '1', '--no-validate');
    expect(record).toMatchObject({ version: 1, metrics: null, written: { rank: 1, layers: [{ exactRank: 2 }] } });
  });

  it('is told as tables', async () => {
    const words = ['export', 'lora', join(folder, 'told'), '--dtype', 'float16', ...place];
    const { exitCode, output } = await commandLine.run(words);
    expect(exitCode).toBe(0);
    expect(output).toContain('rank 2, float16, ungated');
    expect(output).toMatch(/metric +served +export\n/);
    expect(output).toMatch(/reliability +\d\.\d{3} +\d\.\d{3}\n/);
  });

  it('does not replace what is there', async () => {
    const words = ['export', 'merged', join(folder, 'store'), ...place];
    expect(await commandLine.run(words)).toMatchObject({ exitCode: 64, output: '' });
  });
});
