import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hooklineProgram } from '../../src/cli/program.js';
import { resolveHyperparameters } from '../../src/editing/index.js';
import { ExecutionHistory, newExecutionName } from '../../src/local/execution-history.js';
import type { ModelConfig } from '../../src/model/index.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { registerModel } from '../../src/workflow/index.js';
import { CompiledSources } from '../support/compiled-sources.js';
import { publishRounds } from '../support/published-version.js';

let sources: CompiledSources;
let folder: string;
beforeAll(() => {
  sources = new CompiledSources();
  folder = mkdtempSync(join(tmpdir(), 'hookline-light-'));
});
afterAll(() => {
  sources.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** What only computing, serving, running the workflow or a store in S3 needs. */
const heavy =
  /^(onnxruntime|echarts|zrender|@aws-sdk|@smithy|hono|@hono|prom-client|aws-local-stepfunctions|ml-matrix|onnx-buf|@bufbuild|@huggingface|@tensorflow)|^dist\/onnxruntime/;

const isOwn = (file: string) => file.startsWith('dist/');

/** The words of every command and group. */
function commandsBelow(command: Command, path: readonly string[] = []): (readonly string[])[] {
  return command.commands.flatMap((child) => {
    const words = [...path, child.name()];
    return [words, ...commandsBelow(child, words)];
  });
}

describe('the help', () => {
  it('loads the command line alone', async () => {
    const { files, failures } = await sources.loadedBy([['--help']]);
    expect(failures).toEqual([]);
    expect(files).toContain('dist/cli/program.js');
    expect(files.filter((file) => isOwn(file) && !/^dist\/(cli\/|(errors|json)\.js$)/.test(file))).toEqual([]);
    expect(files.filter(isOwn).length).toBeLessThanOrEqual(55);
    const packages = new Set(files.filter((file) => !isOwn(file)).map((file) => file.split('/')[0]));
    expect([...packages].sort()).toEqual(expect.arrayContaining(['commander', 'picocolors']));
    expect(packages.has('zod')).toBe(false);
  });

  it('of no command loads more', async () => {
    const lines = commandsBelow(await hooklineProgram()).map((words) => [...words, '--help']);
    expect(lines.length).toBeGreaterThan(25);
    const { files, failures } = await sources.loadedBy(lines);
    const ofProgram = await sources.loadedBy([['--help']]);
    expect(failures).toEqual([]);
    expect(files.sort()).toEqual(ofProgram.files.sort());
  });
});

describe('a command that needs no model', () => {
  const config = { layers: 4, dInner: 16, dModel: 8 } as ModelConfig;
  const model = { config, settings: resolveHyperparameters({ layers: [1, 3] }, config), modelDigest: 'a'.repeat(64) };
  const name = newExecutionName(new Date());
  let store: string;
  let place: string[];
  beforeAll(async () => {
    store = join(folder, 'store');
    place = ['--store', store];
    const objects = new DirectoryObjectStore(store);
    const world = 'examples/aldermark';
    await registerModel(objects, {
      modelId: 'tiny',
      modelDirectory: `${world}/model`,
      corpusPath: `${world}/corpus.txt`,
    });
    await publishRounds(objects, 'tiny', model, [{ addedIds: ['a', 'b'] }, { addedIds: ['c'] }]);
    await ExecutionHistory.begin(objects, name, { trigger: 'run', objectKey: '', modelId: 'tiny' }, new Date());
    writeFileSync(join(folder, 'edits.jsonl'), '{}\n');
  });

  it('loads nothing to compute with', async () => {
    const out = (of: string) => [...place, '--out', join(folder, of)];
    const { files, failures } = await sources.loadedBy([
      ['versions', '--history', ...place],
      ['show', '2', ...place],
      ['diff', '1', '2', ...place],
      ['verify', ...place],
      ['rollback', '1', ...place],
      ['pull', ...out('pulled')],
      ['watch', '--once', ...out('watched')],
      ['revoke', 'a', '--dry-run', ...place],
      ['status', ...place],
      ['executions', ...place],
      ['execution', name, ...place],
      ['submit', join(folder, 'edits.jsonl'), ...place],
      ['redrive', ...place],
      ['estimate', 'test/fixtures/configs/gpt-j-6b.json'],
      ['rollback', 'newest', ...place],
      ['versions', '--stroe', store],
    ]);
    expect(failures).toEqual([
      expect.stringContaining('version: a whole number'),
      expect.stringContaining("unknown option '--stroe'"),
    ]);
    expect(files).toContain('dist/registry/index.js');
    expect(files).toContain('dist/estimate/index.js');
    expect(files.filter((file) => heavy.test(file))).toEqual([]);
  });

  it('that only reads versions loads the registry alone', async () => {
    const { files, failures } = await sources.loadedBy([
      ['versions', ...place],
      ['show', '1', ...place],
      ['verify', ...place],
    ]);
    expect(failures).toEqual([]);
    expect(files.filter((file) => isOwn(file) && !/^dist\/(cli\/|registry\/|(errors|json)\.js$)/.test(file))).toEqual(
      [],
    );
    expect(files.some((file) => file.startsWith('zod/'))).toBe(true);
  });
});
