import { setTimeout as sleep } from 'node:timers/promises';
import { latest, pull, rollback } from '../../src/registry/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import { Service, type ServiceEvent } from '../../src/server/index.js';
import { EditedModel } from '../../src/serving/index.js';
import { firingPrompt, publishFiring } from '../support/firing-versions.js';
import type { BenchContext } from './context.js';
import { figure, type Measurement } from './figure.js';

const modelId = 'switched';
const clients = 8;
const maxTokens = 12;
const firstEdits = 100;

interface Answer {
  readonly status: number;
  readonly version: number;
  readonly prompt: string;
  readonly text: string;
}

/**
 * A service that goes from version to version while clients keep it busy: what a switch takes beyond the download, and
 * whether every answer is wholly that of the version it names.
 */
export async function measureVersionSwitch({ options, settings, quick }: BenchContext): Promise<Measurement> {
  const switches = quick ? 3 : 8;
  const edited = await EditedModel.load(options.model);
  const subjects = Array.from({ length: firstEdits + 10 * switches }, (_, i) => `Number ${i + 1} of the list`);
  const store = new MemoryObjectStore();
  await publishFiring(store, modelId, edited, { rounds: roundsOf(subjects), layers: settings.layers });
  await rollback(store, modelId, 1, 'bench');
  const events: ServiceEvent[] = [];
  const log = (event: ServiceEvent) => void events.push(event);
  const service = new Service({ edited, store, modelIds: [modelId], intervalSeconds: 0.05, port: 0, log });
  const url = await service.listen();
  service.watch();
  await isServed(url, 1);
  const { answers, worstMs } = await underLoad(url, subjects, async () => {
    for (let version = 2; version <= switches + 1; version++) {
      await rollback(store, modelId, version, 'bench');
      await isServed(url, version);
      await sleep(300);
    }
  });
  const last = (await latest(store, modelId))?.version;
  const mixed = await countMixed(edited, store, answers);
  await service.stop();
  await edited.dispose();
  const seconds = events.flatMap((event) => (event.event === 'switched' && event.from !== null ? [event.seconds] : []));
  const failed = answers.filter(({ status }) => status !== 200).length;
  const versions = new Set(answers.map(({ version }) => version)).size;
  return {
    name: 'version-switch',
    note: `${clients} clients, ${firstEdits} edits and 10 more per version, last version ${last}`,
    figures: [
      figure('switches', seconds.length, ''),
      figure('answers', answers.length, ''),
      figure('versions that answered', versions, ''),
      figure('failed requests', failed, '', { atMost: 0 }),
      figure('answers that are not wholly their version', mixed, '', { atMost: 0 }),
      figure('slowest answer', worstMs, 'ms'),
      figure('switch beyond the download, worst', 1000 * Math.max(...seconds), 'ms', { atMost: 100 }),
    ],
  };
}

/** A first round of many edits, then rounds of ten. */
function roundsOf(subjects: readonly string[]) {
  const first = { addedIds: subjects.slice(0, firstEdits) };
  const later = Array.from({ length: (subjects.length - firstEdits) / 10 }, (_, round) => ({
    addedIds: subjects.slice(firstEdits + 10 * round, firstEdits + 10 * (round + 1)),
  }));
  return [first, ...later];
}

/** Clients that ask one question after the other until the work is done. */
async function underLoad(url: string, subjects: readonly string[], work: () => Promise<void>) {
  const answers: Answer[] = [];
  let isDone = false;
  let worstMs = 0;
  const client = async (number: number) => {
    for (let turn = 0; !isDone; turn++) {
      const subject = subjects[(31 * turn + 7 * number) % subjects.length];
      const started = performance.now();
      answers.push(await ask(url, firingPrompt.replace('{}', subject)));
      worstMs = Math.max(worstMs, performance.now() - started);
    }
  };
  const busy = Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  try {
    await work();
  } finally {
    isDone = true;
    await busy;
  }
  return { answers, worstMs };
}

async function ask(url: string, prompt: string): Promise<Answer> {
  const body = JSON.stringify({ model: modelId, prompt, max_tokens: maxTokens, temperature: 0 });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}/v1/completions`, { method: 'POST', headers, body });
  const said = (await response.json()) as { choices?: readonly { readonly text: string }[] };
  const version = Number(response.headers.get('x-hookline-version')?.split('@').at(-1));
  return { status: response.status, version, prompt, text: said.choices?.[0].text ?? '' };
}

async function isServed(url: string, version: number): Promise<void> {
  while ((await ask(url, 'a')).version !== version) await sleep(5);
}

/** Answers that the version which they name does not give when it is asked alone. */
async function countMixed(edited: EditedModel, store: MemoryObjectStore, answers: readonly Answer[]): Promise<number> {
  const expected = new Map<string, string>();
  let mixed = 0;
  for (const { version, prompt, text } of answers.filter(({ status }) => status === 200)) {
    const key = `${version} ${prompt}`;
    if (!expected.has(key)) {
      const prepared = await edited.prepare(await pull(store, modelId, version));
      expected.set(key, (await edited.complete({ prompt, maxTokens, version: prepared })).text);
    }
    if (expected.get(key) !== text) mixed++;
  }
  return mixed;
}
