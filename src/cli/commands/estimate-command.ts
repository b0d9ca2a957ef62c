import { Command, Option } from 'commander';
import { InvalidInputError } from '../../errors.js';
import type { EditEstimate, EstimateRequest } from '../../estimate/index.js';
import {
  finiteNumber,
  layersOption,
  memoryBudgetBytes,
  memoryBudgetOption,
  weightDtypes,
  wholeNumber,
} from '../options/model-options.js';
import { givenSettings, type SettingOptions, settingOptions } from '../options/setting-options.js';
import { printEstimate } from '../tables/estimate-tables.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal, type OutputOptions } from '../terminal/terminal.js';

interface EstimateOptions extends OutputOptions, SettingOptions {
  readonly edits: number;
  readonly roundSize: number;
  readonly corpusTokens: number;
  readonly instance: string;
  readonly shards: number;
  readonly layers?: readonly number[];
  readonly dtype?: string;
  /** In MiB. */
  readonly memoryBudget?: number;
  readonly rates?: string;
  readonly calibrate?: boolean;
  readonly printRates?: boolean;
}

/** `hookline estimate`: predicts the time and cost of a job, without downloading its model. */
export function estimateCommand(): Command {
  const command = new Command('estimate')
    .alias('plan')
    .description('Predict FLOPs, time, memory, bytes and dollars of editing a model, from its config.json alone')
    .argument('[config]', 'a config.json, or a Hugging Face model directory')
    .action(estimate);
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
      weightDtypes,
    ),
    memoryBudgetOption('memory for the activations of a value search'),
    new Option('--calibrate', 'estimate for this machine, whose rates are measured first'),
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

async function estimate(path: string | undefined, options: EstimateOptions): Promise<void> {
  const { estimateEdits, readEstimateRequest, readRates } = await import('../../estimate/index.js');
  const rates = await readRates(options.rates);
  if (options.printRates) return createTerminal({ json: true }).json(rates);
  if (path === undefined) throw new InvalidInputError('config', 'a config.json or a model directory', 'nothing');
  const terminal = createTerminal(options);
  if (options.calibrate) terminal.note('measuring the rates of this machine: a few seconds');
  const { layers } = options;
  const request = await readEstimateRequest(path, {
    ...options,
    rates,
    settings: { ...(await givenSettings(options)), ...(layers && { layers: [...layers] }) },
    instance: options.calibrate ? undefined : options.instance,
    storedDtype: options.dtype,
    memoryBudgetBytes: memoryBudgetBytes(options),
  });
  const predicted = estimateEdits(request);
  terminal.json(asJson(request, predicted));
  printEstimate(terminal, request, predicted, !options.quiet);
}

/** The JSON output: the prediction and the job that it is for. */
function asJson(request: EstimateRequest, estimate: EditEstimate) {
  const { config, settings, edits, roundSize, corpusTokens, shards, machine, rates } = request;
  const { region, asOf, note } = rates;
  return {
    predicted: true,
    config,
    settings,
    edits,
    roundSize,
    corpusTokens,
    shards,
    instance: machine.instance,
    rates: machine.rates,
    prices: { region, asOf, note },
    estimate,
  };
}
