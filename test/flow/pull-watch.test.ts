import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveHyperparameters } from '../../src/editing/index.js';
import { loadModel, type ModelConfig, modelDigest } from '../../src/model/index.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { digestOf, rollback, versionFileKey } from '../../src/registry/index.js';
import { CommandLine } from '../support/command-line.js';
import { intercepted } from '../support/faulty-object-store.js';
import { patienceSeconds } from '../support/patience.js';
import { golden, publishRounds } from '../support/published-version.js';

const config = { layers: 4, dInner: 16, dModel: 8 } as ModelConfig;
const model = { config, settings: resolveHyperparameters({ layers: [1, 3] }, config), modelDigest: 'a'.repeat(64) };

let commandLine: CommandLine;
let folder: string;
let count = 0;
beforeAll(() => {
  commandLine = new CommandLine();
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'hookline-pull-')));
});
afterAll(() => {
  commandLine.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** A store with two versions, and a folder to pull into. */
async function places() {
  const location = join(folder, `store-${count}`);
  const out = join(folder, `out-${count++}`);
  const store = new DirectoryObjectStore(location);
  const publishNext = async (id: string) => publishRounds(store, 'tiny', model, [{ addedIds: [id] }]);
  await publishRounds(store, 'tiny', model, [{ addedIds: ['a', 'b'] }, { addedIds: ['c'] }]);
  return { store, location, out, publishNext, words: ['--store', location, '--out', out] };
}

async function jsonOf(...words: string[]): Promise<Record<string, unknown>> {
  const { exitCode, output, errors } = await commandLine.run([...words, '--json']);
  expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
  return JSON.parse(output) as Record<string, unknown>;
}

const currentVersion = (out: string): number =>
  (JSON.parse(readFileSync(join(out, 'current/manifest.json'), 'utf8')) as { version: number }).version;

/** A running `hookline`: its output so far, and a wait for some text in it. */
function started(words: readonly string[], environment: Record<string, string> = {}) {
  const child = commandLine.start(words, environment);
  const printed = { output: '', errors: '' };
  const waits = new Set<() => void>();
  const listen = (name: 'output' | 'errors') => (text: string) => {
    printed[name] += text;
    for (const check of waits) check();
  };
  child.stdout.setEncoding('utf8').on('data', listen('output'));
  child.stderr.setEncoding('utf8').on('data', listen('errors'));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const shows = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const check = () => `${printed.output}${printed.errors}`.includes(text) && resolve();
      waits.add(check);
      void ended.then(() => reject(new Error(`ended before it showed ${text}: ${JSON.stringify(printed)}`)));
      check();
    });
  return { child, printed, ended, shows };
}

describe('hookline pull', () => {
  it('brings the latest version, then nothing new, then the next one and a rollback', async () => {
    const { store, out, words, publishNext } = await places();
    const first = await commandLine.run(['pull', ...words]);
    expect(first.exitCode).toBe(0);
    expect(first.output).toMatch(/^version 2 of tiny is current: 3 edits, [\d.]+ kB fetched, 0 B here before\n$/);
    expect(first.errors).toContain(`${out}/current, which leads to ${realpathSync(join(out, 'current'))}`);
    const manifest = JSON.parse(readFileSync(join(out, 'current/manifest.json'), 'utf8'));
    for (const { key, sha256 } of manifest.segments) {
      expect(digestOf(readFileSync(join(out, 'current', key)))).toBe(sha256);
    }
    const again = await commandLine.run(['pull', ...words]);
    expect(again.output).toMatch(/^nothing new: version 2 of tiny stays current \(0 B fetched, /);

    await publishNext('d');
    expect(await jsonOf('pull', ...words)).toMatchObject({
      modelId: 'tiny',
      version: 3,
      previous: 2,
      isNew: true,
      edits: 4,
      path: realpathSync(join(out, 'current')),
    });
    await rollback(store, 'tiny', 1, 'test');
    expect(await jsonOf('pull', ...words)).toMatchObject({ version: 1, previous: 3, isNew: true });
    expect(await jsonOf('pull', ...words, '--version', '2')).toMatchObject({ version: 2, previous: 1 });
    expect(currentVersion(out)).toBe(2);
  });

  it('refuses what is tampered with or for another model in one line, and the version before stays', async () => {
    const { location, out, words, publishNext } = await places();
    await jsonOf('pull', ...words);
    await publishNext('d');
    const file = join(location, versionFileKey('tiny', 3, 'hooks.safetensors'));
    const expected = digestOf(readFileSync(file));
    writeFileSync(file, 'torn');
    const torn = await commandLine.run(['pull', ...words]);
    expect(torn).toMatchObject({ exitCode: 64, output: '' });
    expect(torn.errors).toBe(
      `error: models/tiny/versions/000003/hooks.safetensors: SHA-256 ${expected}, got ${digestOf('torn')}\n`,
    );
    expect(currentVersion(out)).toBe(2);

    const directory = golden('models/llama');
    const digest = await modelDigest(await loadModel(directory));
    for (const base of [
      ['--model', directory],
      ['--model-digest', digest],
    ]) {
      const other = await commandLine.run(['pull', ...words, ...base, '--quiet']);
      expect(other).toMatchObject({ exitCode: 64, output: '' });
      expect(other.errors).toBe(`error: base model of tiny version 3: SHA-256 ${digest}, got ${'a'.repeat(64)}\n`);
    }
    expect(currentVersion(out)).toBe(2);
    const nonsense = await commandLine.run(['pull', ...words, '--model-digest', 'abc']);
    expect(nonsense.errors).toBe('error: --model-digest: 64 hex digits, got "abc"\n');
  });
});

describe('hookline watch', () => {
  const report =
    'echo "ran $HOOKLINE_MODEL_ID $HOOKLINE_PREVIOUS_VERSION:$HOOKLINE_VERSION $(cd -P "$OUT/current" && pwd) $HOOKLINE_VERSION_DIR"';

  it('runs a command for each version, rollbacks too, and ends in order with SIGTERM', async () => {
    const { store, out, words, publishNext } = await places();
    const watch = started(['watch', ...words, '--exec', report, '--interval', '0.1'], { OUT: out });
    const ran = async (versions: string) => {
      await watch.shows(`ran tiny ${versions} `);
      const current = realpathSync(join(out, 'current'));
      expect(watch.printed.output).toContain(`ran tiny ${versions} ${current} ${current}\n`);
    };
    await ran(':2');
    await publishNext('d');
    await ran('2:3');
    await rollback(store, 'tiny', 1, 'test');
    await ran('3:1');
    expect(watch.printed.output).toContain('version 1 of tiny is current (before: version 3)');
    watch.child.kill('SIGTERM');
    expect(await watch.ended).toBe(0);
    expect(watch.printed.output.match(/^ran/gm)).toHaveLength(3);
  });

  it('says why a version is refused or a command failed, and takes it once it can', async () => {
    const { store, location, out, words } = await places();
    const mark = join(folder, `mark-${count}`);
    const command = `test -e ${mark} || { touch ${mark}; exit 3; }; echo "done with $HOOKLINE_VERSION"`;
    const watch = started(['watch', ...words, '--exec', command, '--interval', '0.1', '--json']);
    await watch.shows('got exit code 3 (looking again in ');
    await watch.shows('done with 2');

    const file = join(location, versionFileKey('tiny', 3, 'hooks.safetensors'));
    let whole = new Uint8Array();
    const tearing = intercepted(store, async (carryOut, operation, key) => {
      if (operation === 'put' && key.endsWith('latest.json')) {
        whole = readFileSync(file);
        writeFileSync(file, 'torn');
      }
      return carryOut();
    });
    await publishRounds(tearing, 'tiny', model, [{ addedIds: ['d'] }]);
    const refused = `000003/hooks.safetensors: SHA-256 ${digestOf(whole)}, got ${digestOf('torn')} (looking again in `;
    await watch.shows(refused);
    expect(currentVersion(out)).toBe(2);
    writeFileSync(file, whole);
    await watch.shows('done with 3');
    expect(currentVersion(out)).toBe(3);
    watch.child.kill('SIGINT');
    expect(await watch.ended).toBe(0);
    const lines = watch.printed.output.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { version: number }).version)).toEqual([2, 3]);
  });

  it('ends after one version with --once', async () => {
    const { out, words } = await places();
    const result = await commandLine.run(['watch', ...words, '--once', '--quiet']);
    expect(result).toMatchObject({ exitCode: 0, errors: '' });
    expect(result.output).toBe(`version 2 of tiny is current: ${realpathSync(join(out, 'current'))}\n`);
  });

  it('ends a command that takes too long, even one that ignores it, and runs it again', async () => {
    const { words } = await places();
    const mark = join(folder, `slow-${count}`);
    const command = `test -e ${mark} && echo "done with $HOOKLINE_VERSION" || { touch ${mark}; trap "" TERM; sleep ${10 * patienceSeconds}; }`;
    const watch = started(['watch', ...words, '--exec', command, '--exec-timeout', '1', '--interval', '0.1']);
    await watch.shows('exit code 0 within 1 s, got no end (looking again in ');
    await watch.shows('done with 2');
    watch.child.kill('SIGTERM');
    expect(await watch.ended).toBe(0);
  });

  it('passes SIGTERM on to a running command and all that it started', async () => {
    const { words } = await places();
    // A signal that meets the shell's child before it has become `sleep` is lost on it.
    const wait = (name: string) =>
      `trap "echo ${name} stopped; exit 0" TERM; sleep ${10 * patienceSeconds} & until grep -q sleep /proc/$!/comm; do :; done; echo ${name} waits; wait`;
    const watch = started(['watch', ...words, '--exec', `(${wait('inner')}) & ${wait('outer')}`]);
    await watch.shows('inner waits');
    await watch.shows('outer waits');
    watch.child.kill('SIGTERM');
    expect(await watch.ended).toBe(0);
    for (const name of ['inner', 'outer']) expect(watch.printed.output).toContain(`${name} stopped\n`);
  });
});
