import { Command, Option } from 'commander';
import type { FactorOrigin, SolverChoice } from '../../linalg/index.js';
import type { Listener } from '../../progress.js';
import {
  layersOption,
  type ModelOptions,
  modelOptions,
  solverOption,
  solverRequest,
  wholeNumber,
} from '../options/model-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal, type Terminal } from '../terminal/terminal.js';

interface StatsOptions extends ModelOptions {
  readonly corpus?: string;
  readonly layers?: readonly number[];
  readonly maxTokens?: number;
  readonly solver: SolverChoice;
}

/** `hookline stats`: computes key statistics (the covariance of keys) of layers, or reads them from the store. */
export function statsCommand(): Command {
  const command = new Command('stats')
    .description(
      'Compute the key statistics (the covariance of keys) of layers from a text; the store keeps them for all rounds',
    )
    .action(stats);
  addOptions(command, [
    ...modelOptions(),
    new Option('--corpus <file>', 'plain text or JSONL; without it, stored statistics are shown'),
    layersOption("layers, such as 2,3 (default: those of the model's preset)"),
    new Option('--max-tokens <n>', 'tokens to read of the text (default: 200000)').argParser(
      wholeNumber('--max-tokens', { min: 1 }),
    ),
    solverOption(),
  ]);
  return addExamples(command, [
    'hookline stats --model ./SmolLM2-135M-Instruct --corpus wikipedia.txt',
    'hookline stats --model ./SmolLM2-135M-Instruct --corpus wikipedia.txt --layers 1,3,5 --max-tokens 50000',
    'hookline stats --model ./my-model --json',
  ]);
}

/** The report on one layer's statistics. */
interface LayerReport {
  readonly layer: number;
  readonly tokens: number;
  readonly digest: string;
  /** Estimate of the condition number of C0. */
  readonly condition: number;
  /** The layer's share of the pass over the text plus its own factorization; null if it was read from the store. */
  readonly seconds: number | null;
  readonly cached: boolean;
  /** The solver that computed the factor, and why it was chosen; null if the statistics do not record it. */
  readonly origin: FactorOrigin | null;
}

async function stats(options: StatsOptions): Promise<void> {
  const terminal = createTerminal(options);
  const { stageProgress } = await import('../terminal/stage-progress.js');
  const progress = stageProgress(terminal);
  const clock = stageClock();
  const listener = {
    onNotice: progress.onNotice,
    onProgress: (advance: Parameters<typeof progress.onProgress>[0]) => {
      clock.hear(advance.stage);
      progress.onProgress(advance);
    },
  };
  const { modelId, layers, notices } = await layerReports(options, listener, clock);
  progress.finish();
  for (const notice of notices) terminal.note(notice);
  terminal.json({ modelId, layers, notices });
  printLayers(terminal, layers);
}

async function layerReports(options: StatsOptions, listener: Listener, clock: StageClock) {
  const { conditionNumber, ensureStatistics, listStatistics, loadStatistics } = await import(
    '../../statistics/index.js'
  );
  const { rowsPerBatch } = await import('../../runtime/index.js');
  const { Solver } = await import('../../linalg/index.js');
  const { OnnxGemmEngine, resolveDevice } = await import('../../runtime/index.js');
  const { model, digest, layers, seed, ...place } = await openPlace(options, listener);
  const device = await resolveDevice(options.device, listener);
  const engine = new OnnxGemmEngine({ device });
  const solver = new Solver({ ...solverRequest(options), engine, onNotice: listener.onNotice });
  const { corpus, maxTokens } = options;
  try {
    const known = await listStatistics(place);
    const { digests, notices } = await ensureStatistics({
      ...place,
      model,
      modelDigest: digest,
      layers,
      seed,
      device,
      engine,
      solver,
      rowsPerBatch,
      corpus: corpus === undefined ? undefined : { path: corpus },
      ...(maxTokens !== undefined && { maxTokens }),
      ...(listener.onProgress && { onProgress: listener.onProgress }),
    });
    const computed = layers.filter((layer) => !known.has(digests[layer]));
    const reports: LayerReport[] = [];
    for (const layer of layers) {
      const { tokens, statistics } = await loadStatistics({ ...place, model }, { [layer]: digests[layer] });
      const cached = !computed.includes(layer);
      const seconds = cached ? null : clock.secondsOf(computed.indexOf(layer), computed.length);
      const { inverseFactor, origin = null } = statistics[0];
      const condition = conditionNumber(inverseFactor);
      reports.push({ layer, tokens, digest: digests[layer], condition, seconds, cached, origin });
    }
    return { modelId: place.modelId, layers: reports, notices };
  } finally {
    await engine.dispose();
  }
}

async function openPlace(options: StatsOptions, { onProgress }: Listener) {
  const { modelDigest, openModel } = await import('../../model/index.js');
  const { presetFor } = await import('../../editing/index.js');
  const { openStore } = await import('../../registry/index.js');
  const { resolveModelId } = await import('../options/open-versions.js');
  const store = openStore(options.store);
  const { model, tokenizer } = await openModel(options.model);
  const preset = (await presetFor(model)).settings;
  onProgress?.({ stage: 'digest', done: 0, total: 1, unit: 'models' });
  const digest = await modelDigest(model);
  onProgress?.({ stage: 'digest', done: 1, total: 1, unit: 'models' });
  return {
    model,
    tokenizer,
    digest,
    layers: options.layers ?? preset.layers,
    seed: options.seed ?? preset.seed ?? 0,
    store,
    modelId: await resolveModelId(store, options),
  };
}

/** Notes when stages advance, to compute the time that each layer took. */
interface StageClock {
  readonly hear: (stage: string) => void;
  /** A computed layer's share of the pass over the text plus its own factorization. */
  readonly secondsOf: (index: number, count: number) => number;
}

function stageClock(): StageClock {
  const heard = new Map<string, number[]>();
  const between = (first: number | undefined, last: number | undefined) => ((last ?? 0) - (first ?? 0)) / 1000;
  return {
    hear: (stage) => {
      if (!heard.has(stage)) heard.set(stage, []);
      heard.get(stage)!.push(performance.now());
    },
    secondsOf: (index, count) => {
      const pass = heard.get('statistics') ?? [];
      // The stage `factor` reports twice for each layer: at its start and at its end.
      const factors = heard.get('factor') ?? [];
      return between(pass[0], pass.at(-1)) / count + between(factors[2 * index], factors[2 * index + 1]);
    },
  };
}

function printLayers(terminal: Terminal, layers: readonly LayerReport[]): void {
  terminal.table(
    ['layer', 'tokens', 'digest', 'condition of C0', 'seconds', 'from'],
    layers.map(({ layer, tokens, digest, condition, seconds, cached }) => [
      layer,
      tokens,
      digest.slice(0, 12),
      `~ ${condition.toExponential(1)}`,
      seconds?.toFixed(1),
      cached ? 'the store' : 'the text',
    ]),
  );
}
