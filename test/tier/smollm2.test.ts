import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Edit, HookLayer } from '../../src/editing/index.js';
import { measureEdits, readBatch, summarise } from '../../src/evaluation/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import { type EditSession, openEditSession } from '../../src/rounds/index.js';
import type { RoundOutcome } from '../../src/rounds/session/edit-round.js';
import { cpu } from '../../src/runtime/index.js';
import { loadVersionHooks } from '../../src/serving/index.js';

const directory = process.env.HOOKLINE_SMOLLM2 ?? '';
const isThere = existsSync(join(directory, 'config.json'));
const tier = 'SmolLM2-135M';
const name = isThere ? tier : `${tier}, skipped because HOOKLINE_SMOLLM2 names no Hugging Face directory of it`;
const sample = fileURLToPath(new URL('../fixtures/counterfact-sample.jsonl', import.meta.url));
const prefixes = ['It is often said:', 'Last year we read this.', 'In the end,', 'A friend of mine wrote:'];

/** Ordinary sentences about other subjects than those edited: a small text for key statistics. */
async function writeCorpus(folder: string, edited: readonly Edit[]): Promise<string> {
  const { edits } = await readBatch(sample, { offset: edited.length });
  const sentences = edits.flatMap((edit) => [
    `${edit.prompt.replace('{}', edit.subject)} ${edit.targetTrue}.`,
    ...edit.neighborhood.map((prompt, i) => `${prefixes[i % prefixes.length]} ${prompt} ${edit.targetTrue}.`),
  ]);
  const paragraphs = Array.from({ length: Math.ceil(sentences.length / 6) }, (_, i) =>
    sentences.slice(6 * i, 6 * i + 6),
  );
  const path = join(folder, 'corpus.txt');
  await writeFile(path, paragraphs.map((paragraph) => paragraph.join(' ')).join('\n\n'));
  return path;
}

describe.skipIf(!isThere)(name, () => {
  let folder: string;
  let session: EditSession;
  let edits: readonly Edit[];
  let outcome: RoundOutcome;
  let hooks: readonly HookLayer[];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hookline-smollm2-'));
    ({ edits } = await readBatch(sample, { limit: 3 }));
    const store = new MemoryObjectStore();
    session = await openEditSession({
      store,
      criteria: null,
      modelId: 'smollm2',
      modelDirectory: directory,
      settings: { layers: [3] },
      corpusPath: await writeCorpus(folder, edits),
      device: cpu,
      memoryBudgetBytes: 2 ** 30,
    });
    outcome = (await session.edit([edits]).next()).value as RoundOutcome;
    hooks = (await loadVersionHooks(store, 'smollm2')).hooks;
  });
  afterAll(async () => {
    await session?.close();
    await rm(folder, { recursive: true });
  });

  it('says at least 0.6 of the target tokens of three CounterFact edits after one round', async () => {
    const { tokenizer, emptyState } = session.bench;
    const edited = await session.bench.edited();
    const before = summarise(await measureEdits(edited, tokenizer, edits, session.bench.hooks(emptyState)));
    const after = summarise(await measureEdits(edited, tokenizer, edits, hooks));
    expect(after.reliability).toBeGreaterThanOrEqual(0.6);
    expect(after.reliability).toBeGreaterThan(before.reliability ?? 1);
    expect(outcome.solved.valueSteps.every((steps) => steps > 0)).toBe(true);
    expect(outcome.metrics).toMatchObject({ reliability: after.reliability, generality: after.generality });
  });

  it('answers bit for bit like the base model wherever no gate opens', async () => {
    const { tokenizer } = session.bench;
    const edited = await session.bench.edited();
    const requests = edits
      .flatMap(({ neighborhood }) => neighborhood)
      .map((prompt) => ({ tokenIds: tokenizer.encode(prompt).ids, scoredFrom: 1 }));
    const [base, after] = [await edited.score(requests), await edited.score(requests, hooks)];
    const shut = requests.flatMap((_, i) => (after[i].firings.length === 0 ? [i] : []));
    expect(shut.length).toBeGreaterThan(requests.length / 2);
    // A base model has no gates, and so no strengths.
    for (const i of shut) expect({ ...after[i], strengths: base[i].strengths }).toEqual(base[i]);
  });
});
