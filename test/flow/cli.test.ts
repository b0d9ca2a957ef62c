import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hooklineProgram } from '../../src/cli/program.js';
import { resolveHyperparameters } from '../../src/editing/index.js';
import { loadModel, type ModelConfig, modelDigest } from '../../src/model/index.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { versionFileKey } from '../../src/registry/index.js';
import type { Firing } from '../../src/serving/index.js';
import { CommandLine, type CommandResult } from '../support/command-line.js';
import { FakeHub } from '../support/fake-hub.js';
import { draftEdit } from '../support/manifest-draft.js';
import { golden, publishRounds } from '../support/published-version.js';
import { randomModel } from '../support/random-model.js';

let commandLine: CommandLine;
let folder: string;
beforeAll(() => {
  commandLine = new CommandLine();
  folder = mkdtempSync(join(tmpdir(), 'hookline-flow-'));
});
afterAll(() => {
  commandLine.remove();
  rmSync(folder, { recursive: true, force: true });
});

const run = (...words: string[]): Promise<CommandResult> => commandLine.run(words);
const at = (name: string): string => join(folder, name);

async function jsonOf(...words: string[]): Promise<Record<string, unknown>> {
  const { exitCode, output, errors } = await run(...words, '--json');
  expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
  return JSON.parse(output) as Record<string, unknown>;
}

/** One line on standard error, and nothing on standard output. */
async function expectFailure(words: readonly string[], exitCode: number, message: string): Promise<void> {
  const result = await commandLine.run(words);
  expect(result).toMatchObject({ exitCode, output: '' });
  expect(result.errors).toMatch(/^error: [^\n]+\n$/);
  expect(result.errors).toContain(message);
}

/** The help of every command as it is printed, groups included, by its words. */
async function allHelps(): Promise<[string, string][]> {
  const helps: [string, string][] = [];
  const walk = (command: Command, path: readonly string[]) => {
    let help = '';
    command.configureOutput({
      writeOut: (text) => {
        help += text;
      },
    });
    command.outputHelp();
    helps.push([path.join(' '), help]);
    for (const child of command.commands) walk(child, [...path, child.name()]);
  };
  walk(await hooklineProgram(), []);
  return helps;
}

describe('the help', () => {
  it('of every command has examples', async () => {
    const helps = await allHelps();
    for (const [words, help] of helps) expect(help).toMatch(new RegExp(`\nExamples:\n  \\$ hookline ${words}`));
    expect(helps.length).toBeGreaterThan(20);
    const [words, help] = helps[4];
    expect(await run(...words.split(' '), '--help')).toEqual({ exitCode: 0, output: help, errors: '' });
  });

  it('is shown for a bare call, which is no success', async () => {
    const { exitCode, output, errors } = await run();
    expect({ exitCode, output }).toEqual({ exitCode: 64, output: '' });
    expect(errors).toContain('Usage: hookline');
  });

  it('comes with the version of the package', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(await run('--version')).toEqual({ exitCode: 0, output: `${version}\n`, errors: '' });
  });
});

describe('a wrong call', () => {
  it.each([
    [['versoins'], "unknown command 'versoins' (Did you mean versions?)"],
    [['versions', '--stroe', 'x'], "unknown option '--stroe' (Did you mean --store?)"],
    [['rollback'], "missing required argument 'version'"],
    [['rollback', '1', '2'], 'too many arguments'],
    [['rollback', 'newest'], 'version: a whole number from 1 to 999999, got "newest"'],
    [['model', 'fetch'], "unknown command 'fetch'"],
    [['generate', 'x', '--model', 'm', '--device', 'abacus'], 'Allowed choices are auto, cpu, cuda, webgpu'],
    [['generate', 'x', '--model', 'm', '--seed', '-1'], '--seed: a whole number from 0 to 4294967295, got "-1"'],
    [['generate', 'x'], "required option '--model <dir>' not specified"],
    [['versions', '--store', '/nothing/here'], 'store /nothing/here: an existing folder'],
    [['versions', '--store', 'ftp://x'], 'store: a folder'],
    [['model', 'info', '/nothing/here'], 'a directory with a config.json, got ENOENT'],
    [['model', 'import', '/nothing/here.gguf', '/tmp/x'], '/nothing/here.gguf: an existing file'],
    [['model', 'pull', 'a/b/c'], 'hub id: owner/model'],
    [['model', 'pull', 'a/b', '--hub-url', 'hub'], '--hub-url: an http or https URL'],
  ])('%j is one line and exit code 64', async (words, message) => {
    await expectFailure(words, 64, message);
  });
});

describe('the versions of a store', () => {
  const config = { layers: 4, dInner: 16, dModel: 8 } as ModelConfig;
  const model = { config, settings: resolveHyperparameters({ layers: [1, 3] }, config), modelDigest: 'a'.repeat(64) };
  let store: string[];
  beforeAll(async () => {
    store = ['--store', at('store')];
    await publishRounds(new DirectoryObjectStore(at('store')), 'tiny', model, [
      { addedIds: ['a', 'b'] },
      { addedIds: ['c'] },
      { addedIds: ['d'], removedIds: ['a'] },
    ]);
  });

  it('are listed with what they measured, the latest marked', async () => {
    const { exitCode, output } = await run('versions', ...store);
    const lines = output.trimEnd().split('\n');
    expect(exitCode).toBe(0);
    expect(lines[0]).toMatch(
      /^version +published +parent +edits +new +reliability +said +in chat +generality +locality +retention$/,
    );
    expect(lines[1]).toMatch(/^1 +\d{4}-\d\d-\d\d \d\d:\d\d +– +2 +2 +1\.000 +– +– +0\.900 +0\.975 +–$/);
    expect(lines[3]).toMatch(/^3 latest .* 2 +3 +1 +1\.000 +– +– +0\.900 +0\.978 +0\.950$/);
  });

  it('are JSON for scripts', async () => {
    const listing = await jsonOf('versions', ...store);
    expect(listing).toMatchObject({ modelId: 'tiny', latest: 3, unpublished: [] });
    expect(await jsonOf('show', '2', ...store)).toMatchObject({ schemaVersion: 1, version: 2, parent: 1 });
    expect(await jsonOf('diff', '1', '3', ...store)).toMatchObject({ before: 1, after: 3 });
    expect(await jsonOf('verify', ...store)).toMatchObject({ version: 3, verified: true });
  });

  it('are found by environment and model id too, and by the folder of the model', async () => {
    const environment = { HOOKLINE_STORE: at('store') };
    expect((await commandLine.run(['versions'], environment)).exitCode).toBe(0);
    expect((await commandLine.run(['versions', '--model', './models/Tiny'], environment)).output).toContain('latest');
    const other = await commandLine.run(['versions', '--model-id', 'other'], environment);
    expect(other).toMatchObject({ exitCode: 0, output: 'model other has no version yet\n' });
  });

  it('show what they are', async () => {
    const { output } = await run('show', '3', ...store);
    expect(output).toContain('tiny version 3');
    expect(output).toMatch(/parent +version 2/);
    expect(output).toMatch(/edits +3\n/);
    expect(output).toMatch(/new +1\n/);
    expect(output).toMatch(/a +1 +overwritten +– +– +subject of a lives in -> target of a/);
    expect(output).toContain('versions/000001/hooks.safetensors');
  });

  it('differ in edits and measurements', async () => {
    const { output } = await run('diff', '1', '3', ...store);
    expect(output).toMatch(/added +d +– +– +subject of d lives in -> target of d/);
    expect(output).toMatch(/overwritten +a/);
    expect(output).toMatch(/locality +0\.975 +0\.978 +\+0\.003/);
    expect((await run('diff', '2', '2', ...store)).output).toContain('the same edits');
  });

  it('must exist', async () => {
    await expectFailure(['show', '9', ...store], 64, 'version of model tiny: one of 1, 2, 3, got 9');
    await expectFailure(['rollback', '9', ...store], 64, 'a published version, got 9');
  });

  it('are gone back to and forth again, with a word on how to undo it', async () => {
    const back = await run('rollback', '1', ...store);
    expect(back).toMatchObject({ exitCode: 0, output: 'latest of tiny: version 3 -> version 1\n' });
    expect(back.errors).toContain(`hookline rollback 3 --store ${at('store')} --model-id tiny`);
    expect(await jsonOf('versions', ...store)).toMatchObject({ latest: 1 });
    expect((await run('rollback', '1', ...store)).output).toContain('nothing changed');
    expect(await jsonOf('rollback', '3', ...store)).toEqual({
      modelId: 'tiny',
      previous: 1,
      latest: 3,
      moved: true,
      damage: [],
    });
  });

  it('are verified to the byte', async () => {
    expect((await run('verify', '2', ...store)).output).toContain('version 2 of tiny is complete: 2 files');
    const path = join(at('store'), versionFileKey('tiny', 3, 'hooks.safetensors'));
    const bytes = readFileSync(path);
    writeFileSync(path, Buffer.concat([bytes, Buffer.from([0])]));
    await expectFailure(['verify', ...store], 64, 'versions/000003/hooks.safetensors: SHA-256');
    writeFileSync(path, bytes);
  });

  it('of several models ask which one is meant, and none is no crash', async () => {
    const several = new DirectoryObjectStore(at('several'));
    await publishRounds(several, 'one', model, [{ addedIds: ['a'] }]);
    await publishRounds(several, 'two', model, [{ addedIds: ['a'] }]);
    await expectFailure(['versions', '--store', at('several')], 64, 'one model, or --model-id, got one, two');
    await expectFailure(['verify', '--store', at('several'), '--model-id', 'three'], 64, 'a published version');
    await expectFailure(['versions', '--store', 'memory:'], 64, 'one model, or --model-id, got none');
  });
});

describe('a model directory', () => {
  it('comes of a GGUF file, says what it holds, and answers with and without its edits', async () => {
    const directory = at('llama');
    const imported = await run('model', 'import', golden('gguf/llama/model.gguf'), directory);
    expect(imported).toMatchObject({ exitCode: 0 });
    expect(imported.errors).toContain(`hookline model info ${directory}`);

    const info = await run('model', 'info', directory);
    expect(info.output).toContain(`${directory} can be edited`);
    expect(info.output).toMatch(/architecture +llama/);
    expect(await jsonOf('model', 'info', directory)).toMatchObject({ supported: true, dtypes: ['float32'] });

    const model = await loadModel(directory);
    const settings = resolveHyperparameters({ layers: [0, 1] }, model.config);
    const hooked = { config: model.config, settings, modelDigest: await modelDigest(model) };
    await publishRounds(new DirectoryObjectStore(at('llama-store')), 'llama', hooked, [{ addedIds: ['a', 'b'] }]);
    const place = ['--model', directory, '--store', at('llama-store'), '--max-tokens', '4'];
    const answer = await jsonOf('generate', 'Hello world', ...place);
    expect(answer).toMatchObject({ prompt: 'Hello world', version: 1, firings: [] });
    expect(answer.edited).toBe(answer.base);
    const explained = await run('generate', 'Hello world', ...place, '--version', '1', '--explain');
    expect(explained.output).toContain('base       Hello world');
    expect(explained.output).toContain('no gate opened');
    await expectFailure(['generate', '', ...place], 64, 'prompt: at least one character');
  });

  it('names whose edits opened a gate, where and how strongly', async () => {
    const directory = at('llama');
    const model = await loadModel(directory);
    const settings = resolveHyperparameters({ layers: [1], similarityThreshold: 0 }, model.config);
    const hooked = { config: model.config, settings, modelDigest: await modelDigest(model) };
    const fact = draftEdit('lives', { subject: 'Ann', memory: 'a' });
    const edits = [fact, { ...fact, id: 'speaks', prompt: '{} speaks' }, draftEdit('b')];
    await publishRounds(new DirectoryObjectStore(at('open-store')), 'llama', hooked, [{ addedIds: ['a', 'b'], edits }]);
    const words = ['generate', 'Hello world', '--model', directory, '--store', at('open-store'), '--max-tokens', '4'];
    const { firings } = (await jsonOf(...words)) as { firings: Firing[] };
    expect(firings.length).toBeGreaterThan(0);
    for (const firing of firings) {
      expect(firing).toMatchObject({ layer: 1, token: expect.any(String) });
      expect([
        ['Ann', ['lives', 'speaks']],
        ['subject of b', ['b']],
      ]).toContainEqual([firing.subject, firing.editIds]);
      expect(firing.strength).toBeGreaterThanOrEqual(0);
    }
    const { output } = await run(...words, '--explain');
    expect(output).toMatch(/opened by +token +position +layer +strength\n(Ann \(2 edits\)|subject of b \(b\)) +"/);
  });

  it('of another model than the version was made for is refused', async () => {
    const directory = at('gpt2');
    await run('model', 'import', golden('gguf/gpt2/model.gguf'), directory, '--dtype', 'float16');
    const words = ['generate', 'x', '--model', directory, '--store', at('llama-store'), '--model-id', 'llama'];
    await expectFailure(words, 64, `model ${directory}: the one of version 1 of llama`);
  });

  it('that cannot be edited says why', async () => {
    const directory = mkdtempSync(at('other-'));
    writeFileSync(join(directory, 'config.json'), '{"model_type": "mamba"}');
    const { exitCode, output } = await run('model', 'info', directory);
    expect(exitCode).toBe(0);
    expect(output).toContain(`cannot be edited: ${directory}/config.json: model architecture: one of llama`);
    expect(await jsonOf('model', 'info', directory)).toMatchObject({ supported: false });
  });

  it('is not made of a file that is none', async () => {
    writeFileSync(at('text.gguf'), 'no model');
    await expectFailure(['model', 'import', at('text.gguf'), at('none')], 64, 'a GGUF header');
    expect(existsSync(at('none'))).toBe(false);
  });
});

describe('a model of the hub', () => {
  const content = (text: string) => new TextEncoder().encode(text);
  const weights = Uint8Array.from({ length: 300_000 }, (_, i) => i * i);
  const files = new Map([
    ['config.json', content(JSON.stringify(randomModel('llama').config))],
    ['tokenizer.json', content('{}')],
    ['model.safetensors', weights],
    ['pytorch_model.bin', weights],
    ['README.md', content('# Tiny')],
  ]);
  let hub: FakeHub;
  beforeAll(async () => {
    hub = await FakeHub.start('acme/tiny', files);
  });
  afterAll(() => hub.stop());

  const pull = (directory: string, environment: Record<string, string> = {}, name = 'acme/tiny') =>
    commandLine.run(['model', 'pull', name, directory], { HF_ENDPOINT: hub.url, ...environment });

  it('is downloaded without what is not needed, and says what to do next', async () => {
    const directory = at('tiny');
    const { exitCode, output, errors } = await pull(directory, { HF_TOKEN: 'hf_secret' });
    expect(exitCode).toBe(0);
    expect(output).toBe(`acme/tiny at c0ffee000000 is in ${directory}: 3 files\n`);
    expect(errors).toMatch(/pulling 100 % \(300 kB of 300 kB/);
    expect(errors).toContain(`next: hookline model info ${directory}`);
    expect(readdirSync(directory).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    expect(readFileSync(join(directory, 'model.safetensors')).equals(weights)).toBe(true);
    expect(hub.seen.every((request) => request.authorization === 'Bearer hf_secret')).toBe(true);
  });

  it('goes on where it broke off', async () => {
    const directory = at('broken-off');
    hub.breaksAfterBytes = 100_000;
    const first = await pull(directory);
    expect(first.exitCode).toBe(1);
    expect(first.errors).toMatch(/error: model\.safetensors: 300000 bytes, got \d+ .*run again to go on from there\n$/);
    expect(existsSync(join(directory, 'config.json'))).toBe(false);
    hub.seen.length = 0;
    expect(await pull(directory)).toMatchObject({ exitCode: 0 });
    expect(readFileSync(join(directory, 'model.safetensors')).equals(weights)).toBe(true);
    const ranges = hub.seen.filter(({ path }) => path.endsWith('model.safetensors')).map(({ range }) => range);
    expect(ranges).toContainEqual(expect.stringMatching(/^bytes=[1-9]\d*-299999$/));
    expect(readdirSync(directory).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
  });

  it('is not downloaded again, nor over something else', async () => {
    hub.seen.length = 0;
    expect(await pull(at('tiny'))).toMatchObject({ exitCode: 0 });
    expect(hub.seen.filter(({ path }) => path.endsWith('model.safetensors'))).toEqual([]);
    writeFileSync(join(at('tiny'), 'tokenizer.json'), '{"mine": true}');
    const { exitCode, errors } = await pull(at('tiny'));
    expect(exitCode).toBe(64);
    expect(errors).toContain('tokenizer.json: absent or the same as on the hub, got another file');
  });

  it('is refused where what comes is not what the hub lists', async () => {
    const wrong = await FakeHub.start('acme/tiny', files);
    wrong.sends.set('model.safetensors', weights.toReversed());
    const { exitCode, errors } = await pull(at('wrong'), { HF_ENDPOINT: wrong.url });
    await wrong.stop();
    expect(exitCode).toBe(64);
    expect(errors).toContain('error: model.safetensors: SHA-256');
    expect(readdirSync(at('wrong'))).toEqual(['tokenizer.json']);
  });

  it('that cannot be had is one line', async () => {
    const absent = await pull(at('x'), {}, 'acme/absent');
    expect(absent).toMatchObject({ exitCode: 64, output: '' });
    expect(absent.errors).toBe(
      'error: hub model acme/absent at main: an existing model, revision and file, got HTTP 404\n',
    );
    const secret = await pull(at('x'), {}, 'acme/secret');
    expect(secret.exitCode).toBe(64);
    expect(secret.errors).toContain('or one that the token in HF_TOKEN may read, got HTTP 401');
    const token = await pull(at('x'), { HF_TOKEN: 'my password' });
    expect(token.errors).toBe('error: HF_TOKEN: a token that begins with hf_, got another text\n');
    expect(existsSync(at('x'))).toBe(false);
  });

  it('is out of reach when there is no network, which may pass', async () => {
    const { exitCode, errors } = await pull(at('x'), { HF_ENDPOINT: 'http://127.0.0.1:1' });
    expect(exitCode).toBe(1);
    expect(errors).toMatch(/^error: hub http:\/\/127\.0\.0\.1:1: a connection, got [^\n]+\n$/);
  });

  it('of an architecture or form that cannot be edited is refused before its weights come', async () => {
    const pulled = async (change: [string, Uint8Array] | undefined, without?: string) => {
      const changed = new Map([...files, ...(change ? [change] : [])].filter(([path]) => path !== without));
      const other = await FakeHub.start('acme/tiny', changed);
      const { errors } = await pull(at('y'), { HF_ENDPOINT: other.url });
      await other.stop();
      expect(other.seen.some(({ path }) => path.endsWith('model.safetensors'))).toBe(false);
      return errors;
    };
    expect(await pulled(['config.json', content('{"model_type": "mamba"}')])).toContain('got mamba');
    expect(await pulled(['config.json', content('not json')])).toContain('config.json of acme/tiny: JSON');
    expect(await pulled(undefined, 'model.safetensors')).toContain('model.safetensors, got pytorch_model.bin');
    expect(await pulled(undefined, 'tokenizer.json')).toContain('a tokenizer.json, got none');
    expect(existsSync(at('y'))).toBe(false);
  });
});
