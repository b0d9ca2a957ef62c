import { basename, dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import type { EditEstimate, EstimateRequest, Rates } from '../../estimate/index.js';
import { layersOption } from '../options/layer-list.js';
import { finiteNumber, memoryBudgetBytes, wholeNumber } from '../options/model-options.js';
import { givenSettings, type SettingOptions, settingOptions } from '../options/setting-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal, type OutputOptions, type Terminal } from '../terminal/terminal.js';

interface PlanOptions extends OutputOptions, SettingOptions {
  readonly edits: number;
  readonly roundSize: number;
  readonly corpusTokens: number;
  readonly instance: string;
  readonly shards: number;
  readonly layers?: readonly number[];
  readonly dtype?: string;
  /** MiB. */
  readonly memoryBudget?: number;
  readonly rates?: string;
  readonly calibrate?: boolean;
  readonly printRates?: boolean;
}

/** Stored dtypes and their bytes. */
const storedBytes: Readonly<Record<string, number>> = { float32: 4, float16: 2, bfloat16: 2 };

/** Where a checkpoint's config does not say, it is of float32. */
const unsaidDtype = 'float32';

/** `hookline estimate`: what a job will take and cost, before anything is downloaded. */
export function estimateCommand(): Command {
  const command = new Command('plan')
    .description('Predict FLOPs, time, memory, bytes and dollars of editing a model, from its config.json alone')
    .argument('[config]', 'a config.json, or a Hugging Face model directory')
    .action(plan);
  const whole = (name: string) => wholeNumber(name, { min: 1 });
  addOptions(command, [
    new Option('--edits <n>', 'edits in all').argParser(whole('--edits')).default(1000),
    new Option('--round-size <n>', 'edits of a round').argParser(whole('--round-size')).default(100),
    new Option('--corpus-tokens <n>', 'tokens of the key statistics, such as 1e6')
      .argParser(finiteNumber('--corpus-tokens', { min: 1000, max: 1e15 }))
      .default(1e6),
    new Option('--instance <type>', 'what to run on').default('g6e.xlarge'),
    new Option('--shards <n>', 'tasks at once in each stage that can be divided')
      .argParser(whole('--shards'))
      .default(8),
    layersOption("hooked layers, such as 3,4,5 (default: those of the model's preset)"),
    ...settingOptions(),
    new Option('--dtype <type>', 'how the checkpoint stores its weights (default: as its config says)').choices(
      Object.keys(storedBytes),
    ),
    new Option('--memory-budget <MiB>', 'memory for the activations of a value search').argParser(
      wholeNumber('--memory-budget', { min: 16 }),
    ),
    new Option('--calibrate', 'plan for this machine, whose rates are measured first'),
    new Option('--rates <file>', 'prices and rates of your own, in the form that --print-rates shows'),
    new Option('--print-rates', 'print prices and rates as JSON, to be edited, and do nothing else'),
  ]);
  return addExamples(command, [
    'hookline estimate ./config.json --edits 1000 --instance g6e.xlarge --shards 8',
    'hookline estimate ./config.json --edits 100000 --round-size 1000 --corpus-tokens 1e7 --instance p5.48xlarge',
    'hookline estimate ./SmolLM2-135M-Instruct --edits 100 --calibrate',
    'hookline estimate --print-rates > rates.json',
    'hookline estimate ./config.json --rates rates.json --json',
  ]);
}

async function plan(path: string | undefined, options: PlanOptions): Promise<void> {
  const { estimateEdits, readRates } = await import('../../estimate/index.js');
  const rates = await readRates(options.rates);
  if (options.printRates) {
    createTerminal({ json: true }).json(rates);
    return;
  }
  const terminal = createTerminal(options);
  const request = await requestOf(path, options, rates, terminal);
  const predicted = estimateEdits(request);
  terminal.json(report(request, predicted));
  if (terminal.isJson) return;
  const { printPlan } = await import('../tables/estimate-tables.js');
  printPlan(terminal, request, predicted, !options.quiet);
}

async function requestOf(
  path: string | undefined,
  options: PlanOptions,
  rates: Rates,
  terminal: Terminal,
): Promise<EstimateRequest> {
  const { presetFor } = await import('../../rounds/index.js');
  const { estimateDefaults } = await import('../../estimate/index.js');
  const { resolveHyperparameters } = await import('../../editing/index.js');
  const { readModelConfig } = await import('../../model/index.js');
  const { InvalidInputError } = await import('../../errors.js');
  if (path === undefined) throw new InvalidInputError('config', 'a config.json or a model directory', 'nothing');
  const file = await configFile(path);
  const { config, storedDtype } = await readModelConfig(file);
  const preset = (await presetFor({ directory: dirname(file), config })).settings;
  const { layers, edits, roundSize, corpusTokens, shards, dtype } = options;
  const given = { ...preset, ...(await givenSettings(options)), ...(layers && { layers: [...layers] }) };
  return {
    ...estimateDefaults,
    memoryBudgetBytes: memoryBudgetBytes(options) ?? estimateDefaults.memoryBudgetBytes,
    ...{ config, edits, roundSize, corpusTokens, shards },
    storedBytes: storedBytes[dtype ?? storedDtype ?? unsaidDtype] ?? storedBytes[unsaidDtype],
    settings: resolveHyperparameters(given, config),
    ...(await machineFor(options, rates, config, terminal)),
  };
}

async function configFile(path: string): Promise<string> {
  const { stat } = await import('node:fs/promises');
  // A path that leads nowhere is told of by what reads it.
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => !basename(path).endsWith('.json'),
  );
  return isFolder ? join(path, 'config.json') : path;
}

async function machineFor(
  { calibrate: isCalibrated, instance }: PlanOptions,
  rates: Rates,
  config: EstimateRequest['config'],
  terminal: Terminal,
): Promise<Pick<EstimateRequest, 'machine' | 'rates'>> {
  const { calibrate, machineOf, thisMachine } = await import('../../estimate/index.js');
  if (!isCalibrated) return { machine: machineOf(rates, instance), rates };
  terminal.note('measuring the rates of this machine: a few seconds');
  return thisMachine(rates, await calibrate(config));
}

/** The prediction and what it is of, for scripts. */
function report(request: EstimateRequest, predicted: EditEstimate) {
  const { config, settings, edits, roundSize, corpusTokens, shards, machine, rates } = request;
  const { region, asOf, note } = rates;
  return {
    predicted: true,
    ...{ config, settings, edits, roundSize, corpusTokens, shards },
    instance: machine.instance,
    rates: machine.rates,
    prices: { region, asOf, note },
    plan: predicted,
  };
}
