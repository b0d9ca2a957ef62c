/** @file The assumptions of an estimate, in words. */
import { valueLayer } from '../editing/index.js';
import type { EstimateRequest } from './estimate-request.js';
import { editsAtOnce } from './values-work.js';

/** One line for each assumption. */
export function assumptionsOf(request: EstimateRequest): string[] {
  const { settings, shape, machine, rates, corpusTokens, sequenceTokens } = request;
  const { device } = machine.instance;
  const batch = editsAtOnce({ ...request, steps: settings.steps });
  return [
    'Everything here is predicted; nothing was downloaded and nothing was run.',
    `Layers ${settings.layers.join(', ')} are hooked; values are sought at the output of block ${valueLayer(settings)}.`,
    `Every value search takes all ${settings.steps} steps, ${settings.templatesPerStep || shape.templates * shape.phrasings} of ` +
      `${shape.templates * shape.phrasings} texts each and one that is kept, ${batch} edits at a time; searches that stop earlier cost less, ` +
      `and targets that are not said by then take up to ${settings.targetSteps} steps more.`,
    `An edit is like CounterFact's: a prompt of ${shape.promptTokens} tokens, its subject ending at ` +
      `${shape.lookupIndex}, a target of ${shape.targetTokens}, ${shape.keptTexts} kept texts, ${shape.rows} rows; it is ` +
      `the only fact of its subject${settings.chatContexts ? ', taught and kept in chat too (chatContexts)' : ''}; ` +
      `${shape.paraphrases} paraphrases and ${shape.neighborhood} neighbours are validated.`,
    `Key statistics are of ${corpusTokens} tokens in sequences of ${sequenceTokens}; they are made once for all rounds.`,
    'Rounds follow each other; in each, values and validation are divided among the shards, the solve is not.',
    'Every task opens the model; solve and validation rebuild the base from all segments before it, in one solve.',
    'Products are in float32, whatever the checkpoint stores; weights of two bytes are widened where they are used, and each program on a GPU holds its own copy.',
    ...deviceLines(request, device),
    `Plain TypeScript does ${inUnits(rates.host.flopsPerSecond, 1e9)} GFLOP/s: ${rates.host.why}.`,
    `An instance needs ${rates.services.instanceStartSeconds} s to start and then the model from the store at ` +
      `${rates.services.storeBytesPerSecond / 1e6} MB/s; a task ${rates.services.taskStartSeconds} s. ` +
      'Instances are kept from stage to stage; no Spot instance is taken back.',
    `Prices: ${rates.region}, ${rates.note}.`,
  ];
}

function deviceLines({ machine, rates }: EstimateRequest, name: string): string[] {
  const device = rates.devices[name];
  if (device === undefined) return [];
  const { gemm, float64, bandwidth } = device;
  const percent = (efficiency: number) => `${Math.round(100 * efficiency)} %`;
  return [
    `${machine.instance.name} is ${machine.instance.devices} x ${name}: ${percent(gemm.efficiency)} of ` +
      `${inUnits(gemm.peak, 1e12)} TFLOP/s in ${device.kind === 'gpu' ? 'TF32' : 'float32'} (${gemm.why}), ` +
      `${percent(float64.efficiency)} of ${inUnits(float64.peak, 1e12)} in float64 (${float64.why}), ` +
      `${percent(bandwidth.efficiency)} of ${inUnits(bandwidth.peak, 1e9)} GB/s (${bandwidth.why}).`,
  ];
}

const inUnits = (amount: number, unit: number): string => String(Number((amount / unit).toPrecision(3)));
