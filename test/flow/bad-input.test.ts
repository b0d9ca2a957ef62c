import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  type Execution,
  type HistoryEvent,
  LocalWorkflow,
  loadWorkflow,
  readHistory,
  Slots,
} from '../../src/local/index.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { environmentNames, stageFunctions } from '../../src/workflow/index.js';
import { registerSoakModel } from '../soak/soak-models.js';
import { ContainerEntry } from '../support/container-entry.js';
import { damageFile } from '../support/planned-round.js';

const fact = (subject: string, targetNew: string) => JSON.stringify({ subject, prompt: '{} lives in', targetNew });
const modelId = 'north';

let entry: ContainerEntry;
let folder: string;
let published: string;
beforeAll(async () => {
  entry = new ContainerEntry();
  folder = mkdtempSync(join(tmpdir(), 'hookline-bad-'));
  published = join(folder, 'published');
  await registerSoakModel(new DirectoryObjectStore(published), join(folder, 'texts'), 'north', modelId);
  expect((await ended(await run(published, `${fact('Kumira Fostede', 'Osskel')}\n`))).outcome).toBe('PUBLISHED');
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  readonly execution: Execution;
  readonly store: DirectoryObjectStore;
  /** Command lines of the tasks that were started. */
  readonly tasks: readonly string[];
}

/** Drops a text for a model and runs an execution of it. */
async function run(storeFolder: string, text: string, to = modelId): Promise<Run> {
  const store = new DirectoryObjectStore(storeFolder);
  const tasks = new TaskLog(join(storeFolder, '..', 'tasks.log'));
  const workflow = new LocalWorkflow({
    store,
    workflow: await loadWorkflow(join(inject('programs'), 'dist/workflow.json')),
    functions: (executions) => stageFunctions({ store, executions, now: () => new Date() }),
    host: {
      entryPoint: tasks.entryPoint(entry.program),
      environment: {
        [environmentNames.store]: storeFolder,
        [environmentNames.cache]: join(folder, 'cache'),
        [environmentNames.device]: 'cpu',
      },
      slots: new Slots(2),
      backoffSeconds: 0.1,
      graceSeconds: 5,
    },
  });
  const objectKey = `incoming/${to}/batch.jsonl`;
  await store.put(objectKey, new TextEncoder().encode(text));
  const execution = await workflow.execute({ trigger: 'drop', objectKey, modelId: '' });
  await workflow.idle();
  return { execution, store, tasks: tasks.lines() };
}

/** Processes that were started, by a program that writes itself down before it becomes the container's. */
class TaskLog {
  constructor(readonly path: string) {
    rmSync(path, { force: true });
  }

  entryPoint(program: string): string {
    const wrapper = `${this.path}.mjs`;
    const log = `appendFileSync(${JSON.stringify(this.path)}, process.argv[2] + '\\n');`;
    writeFileSync(
      wrapper,
      `import { appendFileSync } from 'node:fs';\n${log}\nawait import(${JSON.stringify(program)});\n`,
    );
    return wrapper;
  }

  lines(): string[] {
    return existsSync(this.path) ? readFileSync(this.path, 'utf8').trim().split('\n') : [];
  }
}

async function ended({ execution }: Run) {
  const { status, error, cause, note } = await execution.ended;
  return { status, error, cause, outcome: note?.outcome, message: note?.message ?? '' };
}

const enteredStates = (events: readonly HistoryEvent[]) =>
  events.filter(({ type }) => type === 'StateEntered').map(({ state }) => state);

/** A copy of the store with one version, to do damage to. */
function copyOfPublished(name: string): string {
  const copy = join(folder, name, 'store');
  cpSync(published, copy, { recursive: true });
  return copy;
}

const fileBelow = (storeFolder: string, pattern: RegExp): string => {
  const names = readdirSync(storeFolder, { recursive: true, encoding: 'utf8' }).filter((name) => pattern.test(name));
  expect(names.length).toBeGreaterThan(0);
  return join(storeFolder, names[0]);
};

describe('a batch that cannot be edited', () => {
  it('for an unknown model ends as rejected, says so, and stays in the inbox', async () => {
    const store = copyOfPublished('unknown');
    const ran = await run(store, `${fact('A', 'B')}\n`, 'nobody');
    const end = await ended(ran);
    expect(end).toMatchObject({ status: 'SUCCEEDED', outcome: 'REJECTED' });
    expect(end.message).toContain('model nobody: a model of this store, got none of this name');
    expect(existsSync(join(store, 'incoming/nobody/batch.jsonl'))).toBe(true);
    expect(ran.tasks).toEqual([]);
  });

  it('because every line is malformed ends as rejected with a reason for each line', async () => {
    const text = 'not JSON\n{"subject": "A"}\n\n{"subject": "A", "prompt": "no place", "targetNew": "x"}\n';
    const ran = await run(copyOfPublished('malformed'), text);
    expect(await ended(ran)).toMatchObject({ status: 'SUCCEEDED', outcome: 'REJECTED' });
    expect(ran.tasks).toEqual([]);
    const reports = (await ran.store.list(`models/${modelId}/batches/`)).filter((key) =>
      key.endsWith('rejections.json'),
    );
    const all = reports.map(async (key) => JSON.parse(new TextDecoder().decode((await ran.store.get(key)).bytes)));
    expect((await Promise.all(all)).flat()).toMatchObject([
      { lineNumber: 1, reason: 'a JSON object, got text that is not JSON' },
      { lineNumber: 2, reason: expect.stringContaining('prompt: ') },
      { lineNumber: 4, reason: expect.stringContaining('prompt: ') },
    ]);
    expect(await ran.store.list(`models/${modelId}/failures/`)).toEqual([]);
  });
});

describe('what a round stands on', () => {
  it.each([
    ['key statistics', /statistics\/.*factor\.safetensors$/],
    ['the segment of the base', /versions\/000001\/hooks\.safetensors$/],
    ['the manifest of the base', /versions\/000001\/manifest\.json$/],
    ['the held-out text', /corpus\/.*\.txt$/],
  ])('is compared with its digest before any task is started: %s', async (what, pattern) => {
    const store = copyOfPublished(what);
    const isText = what === 'the held-out text';
    const path = isText ? heldOutOf(store) : fileBelow(store, pattern);
    damageFile(path);
    const ran = await run(store, `${fact('Stertus Riror', 'Ujvar')}\n`);
    const end = await ended(ran);
    expect(end).toMatchObject({ status: 'FAILED', error: 'PermanentError' });
    expect(end.cause).toContain('SHA-256');
    expect(end.cause).toContain(path.slice(store.length + 1));
    expect(ran.tasks).toEqual([]);
    const states = enteredStates(await readHistory(ran.store, ran.execution.name));
    expect(states).toContain('Plan');
    for (const state of ['Statistics', 'Values', 'Solve', 'Validate']) expect(states).not.toContain(state);
    expect(await ran.store.list(`models/${modelId}/failed/`)).toHaveLength(1);
    expect(await ran.store.list(`models/${modelId}/failures/`)).toHaveLength(1);
  });
});

function heldOutOf(store: string): string {
  const { heldOut } = JSON.parse(readFileSync(join(store, `models/${modelId}/model.json`), 'utf8'));
  return join(store, heldOut.key);
}
