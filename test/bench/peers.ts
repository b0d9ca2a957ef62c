/** @file The method beside its peers in PyTorch: the same edits, and one code that measures them all. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Edit } from '../../src/editing/index.js';
import { measureEdits } from '../../src/evaluation/index.js';
import { openStore } from '../../src/registry/index.js';
import { HookableModel } from '../../src/serving/index.js';
import type { BenchContext } from './context.js';
import { type Figure, figure, type Measurement } from './figure.js';
import { bundled, root } from './options.js';
import { editWithPeer, type PeerRequest } from './peers/edit-with-peer.js';
import { measuresOf } from './peers/measures.js';
import { type PeerSettings, peers } from './peers/peer-settings.js';
import { prepare } from './peers/preparation.js';
import { splitText } from './use/judging.js';
import { firstRecord, fullCounts, quickCounts, rangeOf, withCounts } from './use/records.js';
import { RealRoom } from './use/room.js';
import { heldOutCharacters, Workshop } from './use/workshop.js';

const name = 'peers';

const say = (text: string): void => void process.stderr.write(`${name}: ${text}\n`);

/** One batch of CounterFact edits, written by the product and by each peer. */
export async function measurePeers(context: BenchContext): Promise<Measurement> {
  const { options, quick, model } = context;
  const { datasets } = options;
  if (resolve(options.model) === resolve(bundled, 'model')) return skipped('no real model (--model)');
  if (datasets === undefined) return skipped('no folder of data sets (--datasets or HOOKLINE_DATA)');
  const folder = join(root, '.bench', name, basename(resolve(options.model)));
  const texts = await writeTexts(folder, join(datasets, 'wikipedia.txt'));
  const store = openStore(join(folder, 'statistics'));
  const workshop = await Workshop.open({
    modelDirectory: options.model,
    ...texts,
    settings: options.set,
    statistics: store,
    say,
  });
  try {
    const counts = withCounts(quick ? quickCounts : fullCounts, options.records);
    const ours = await new RealRoom(workshop, counts, datasets).batch('counterfact');
    if (typeof ours === 'string') return skipped(ours);
    const { written, edits } = ours;
    const [{ metrics }] = written.outcomes;
    const seconds = (metrics.secondsForValues + metrics.secondsForSolve) / edits.length;
    const figures = [...(await measuresOf('ours', workshop, ours)), secondsPerEdit('ours', seconds)];
    const { tokenizer } = workshop;
    const { contextTokens } = context.settings;
    const layers = [...new Set(Object.values(peers).flatMap((settings) => settings.layers))].sort((a, b) => a - b);
    say(`key moments of layers ${layers.join(', ')}, unless they are known`);
    const prepared = await prepare({
      model,
      tokenizer,
      store,
      modelId: name,
      layers,
      corpus: texts.corpus,
      contextTokens,
    });
    for (const [by, settings] of Object.entries(peers)) {
      say(by);
      const request = { python: options.python!, model, settings, rounds: [edits], ...prepared };
      figures.push(...(await measurePeer(by, request, workshop, edits)));
    }
    const range = rangeOf('CounterFact', firstRecord.counterfact, counts.counterfact);
    const notes = [
      `${edits.length} edits of ${range} in one batch`,
      `ours: ${workshop.settingsText}`,
      ...Object.entries(peers).map(([by, settings]) => `${by}: ${inWords(settings)}`),
    ];
    return { name, figures, note: notes.join('; ') };
  } finally {
    await workshop.dispose();
  }
}

const skipped = (reason: string): Measurement => ({ name, figures: [], note: `skipped, ${reason}` });

/** The text for key statistics and the one for drift. */
async function writeTexts(
  folder: string,
  text: string,
): Promise<{ readonly corpus: string; readonly heldOut: string }> {
  const { beginning, end } = splitText(await readFile(text, 'utf8'), heldOutCharacters);
  await mkdir(folder, { recursive: true });
  const [corpus, heldOut] = [join(folder, 'corpus.txt'), join(folder, 'held-out.txt')];
  await writeFile(corpus, beginning);
  await writeFile(heldOut, end);
  return { corpus, heldOut };
}

async function measurePeer(
  by: string,
  request: PeerRequest,
  workshop: Workshop,
  edits: readonly Edit[],
): Promise<Figure[]> {
  const { hooks, nll, rounds } = await editWithPeer(request);
  const { tokenizer } = workshop;
  const model = await HookableModel.compile(request.model, { layers: request.settings.layers, gate: 'none' });
  try {
    const written = { rounds: [edits], outcomes: [], searchCpuSeconds: [], model, hooks, tokenizer };
    const measurements = await measureEdits(model, tokenizer, edits, hooks);
    const differences = measurements.map((measured, e) => Math.abs((measured.nll ?? Number.NaN) - nll[e]));
    return [
      ...(await measuresOf(by, workshop, { written, edits, measurements })),
      secondsPerEdit(by, rounds.reduce((sum, { seconds }) => sum + seconds, 0) / edits.length),
      { ...figure("targets' nll, from PyTorch's own, most", Math.max(...differences), 'nats', { atMost: 1e-3 }), by },
    ];
  } finally {
    await model.dispose();
  }
}

const secondsPerEdit = (by: string, seconds: number): Figure => ({
  ...figure('search and solve', seconds, 's/edit'),
  by,
});

const inWords = (settings: PeerSettings): string =>
  Object.entries(settings)
    .map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(', ') : value}`)
    .join(', ');
