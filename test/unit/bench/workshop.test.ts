import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { fillTemplate } from '../../../src/editing/index.js';
import { isSaid } from '../../../src/evaluation/said.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { Workshop } from '../../bench/use/workshop.js';
import { parseWorld, worldFacts } from '../../bench/use/world-facts.js';

const folder = join('examples', 'aldermark');

it('writes edits round by round, and asks the edited model and its base', async () => {
  const said: string[] = [];
  const statistics = new MemoryObjectStore();
  const workshop = await Workshop.open({
    modelDirectory: join(folder, 'model'),
    corpus: join(folder, 'corpus.txt'),
    settings: { contextTokens: 0 },
    statistics,
    say: (text) => void said.push(text),
  });
  onTestFinished(() => workshop.dispose());
  const world = parseWorld(readFileSync(join(folder, 'facts.jsonl'), 'utf8'));
  const [births] = worldFacts(world, 2, 'first');
  const written = await workshop.write('births', [[births[0]], [births[1]]]);
  expect(written.rounds.map((round) => round.map(({ subject }) => subject))).toEqual(
    births.map(({ subject }) => [subject]),
  );
  expect(written.outcomes.map(({ version }) => version)).toEqual([1, 2]);
  for (const seconds of written.searchCpuSeconds) expect(seconds).toBeGreaterThan(0);
  expect(written.searchCpuSeconds).toHaveLength(2);
  const prompts = births.map(({ prompt, subject }) => fillTemplate(prompt, subject));
  const edited = await workshop.answers(written, prompts, { maxTokens: 8 });
  const base = await workshop.answers(written, prompts, { maxTokens: 8, by: 'base' });
  expect(edited.map(({ text }, b) => isSaid(text, births[b].targetNew))).toEqual([true, true]);
  expect(base.map(({ text }, b) => isSaid(text, births[b].targetTrue!))).toEqual([true, true]);
  expect(Math.abs(await workshop.addedPerplexity(written))).toBeLessThan(1);
  expect((await statistics.list('')).length).toBeGreaterThan(0);
  expect((await statistics.list('')).every((key) => key.includes('/statistics/'))).toBe(true);
  expect(workshop.settingsText).toMatch(/^layers [\d, ]+, gate \w+, \d+ steps at most$/);
  workshop.tellMisses('births', prompts, base, [true, false]);
  expect(said.at(-1)).toBe(`births, missed: ${JSON.stringify(prompts[1])} -> ${JSON.stringify(base[1].text)}`);
});
