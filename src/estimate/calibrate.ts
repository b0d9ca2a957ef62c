/** @file The rates of this machine, measured in a few seconds. */
import { cpus, totalmem } from 'node:os';
import { segmentStorage } from '../editing/index.js';
import { add, Graph, matMul, type Value } from '../graph/index.js';
import { addTo, blockSize, inverseFactor, type Matrix, matrix, PlainGemmEngine } from '../linalg/index.js';
import type { ModelConfig } from '../model/index.js';
import { compile, OnnxGemmEngine, rowsPerBatch } from '../runtime/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import { BlockProbe, type ProbeSizes } from './block-probe.js';
import { cornerFlops } from './dense-work.js';
import { GemmChain, waves } from './gemm-chain.js';
import type { Machine } from './rates.js';
import type { Rates } from './rates-schema.js';
import type { EffectiveRates } from './seconds-of.js';
import { Stopwatch } from './stopwatch.js';

/** How a calibration measures. */
export interface CalibrateOptions {
  /** The clock, in seconds. */
  readonly nowSeconds?: () => number;
  readonly signal?: AbortSignal;
}

/** Sizes at which products are measured: the model's own, of large models smaller ones at which the rate is the same. */
const widestModel = 2048;
const widestInner = 8192;
/** Rows of a product that reads its weights rather than computes. */
const fewRows = 32;
/** Width of the moment that is factored. */
const widestFactor = 1536;

type ProductRates = Pick<EffectiveRates, 'gemmFlops' | 'operandBytes' | 'attentionFlops' | 'runSeconds'>;

/**
 * What this machine does of each kind of work, on products of the model's shapes.
 *
 * @throws the signal's reason once it is aborted, between two measurements
 */
export async function calibrate(config: ModelConfig, options: CalibrateOptions = {}): Promise<EffectiveRates> {
  const { nowSeconds = () => performance.now() / 1000, signal } = options;
  const clock = new Stopwatch(nowSeconds, signal);
  const sizes = {
    dModel: Math.min(config.dModel, widestModel),
    dInner: Math.min(config.dInner, widestInner),
  };
  const products: ProductRates = {
    ...(await productRates(sizes, clock)),
    attentionFlops: await attentionRate(config, clock),
    runSeconds: await runSeconds(clock),
  };
  return {
    ...products,
    ...(await operatorRates({ ...sizes, heads: config.heads, dHead: config.dHead }, products, clock)),
    float64Flops: await float64Rate(sizes.dInner, clock, products.runSeconds),
    ...(await hostRates(sizes.dInner, clock)),
    transferBytes: null,
    loadBytes: 1e9,
    storeBytes: 0.5e9,
  };
}

/** This machine as one to estimate for: it costs nothing, and nothing has to be started. */
export function thisMachine(
  rates: Rates,
  measured: EffectiveRates,
): { readonly machine: Machine; readonly rates: Rates } {
  const name = `this machine (${cpus().length} x ${cpus()[0]?.model.trim() ?? 'processor'})`;
  const instance = { name, device: name, devices: 1, hostMemoryGiB: totalmem() / 2 ** 30 };
  const services = { ...rates.services, instanceStartSeconds: 0, taskStartSeconds: 1, storeBytesPerSecond: 0.5e9 };
  return {
    machine: {
      instance: { ...instance, dollarsPerHour: 0, spotDollarsPerHour: 0 },
      kind: 'cpu',
      deviceMemoryGiB: 0,
      rates: measured,
    },
    rates: { ...rates, services, host: { ...rates.host, flopsPerSecond: measured.hostFlops, why: 'measured here' } },
  };
}

/**
 * The rates of arithmetic and of reading weights, from products of many and of few rows: each takes
 * `flops / gemm + weight bytes / operand`.
 */
async function productRates(sizes: Pick<ModelConfig, 'dModel' | 'dInner'>, clock: Stopwatch) {
  const many = await GemmChain.compile(sizes, rowsPerBatch);
  const few = await GemmChain.compile(sizes, fewRows);
  const [manySeconds, fewSeconds] = [await clock.secondsOf(() => many.run()), await clock.secondsOf(() => few.run())];
  const perFlop = Math.max((manySeconds - fewSeconds) / (many.flops - few.flops), 0.5 * (manySeconds / many.flops));
  const perByte = Math.max((fewSeconds - perFlop * few.flops) / few.weightBytes, 1e-12);
  await many.dispose();
  await few.dispose();
  return { gemmFlops: 1 / perFlop, operandBytes: 1 / perByte };
}

/** Both batched products of attention: sequences as long as those of a text; of short ones there are fewer FLOPs than starts. */
async function attentionRate({ heads, keyValueHeads, dHead }: ModelConfig, clock: Stopwatch): Promise<number> {
  const [batch, tokens] = [8, 128];
  const group = heads / keyValueHeads;
  const queries = [batch, keyValueHeads, group * tokens, dHead];
  const keys = [batch, keyValueHeads, dHead, tokens];
  const values = [batch, keyValueHeads, tokens, dHead];
  const seconds = await secondsOfGraph(clock, { queries, keys, values }, (inputs) =>
    matMul(matMul(inputs.queries, inputs.keys), inputs.values),
  );
  return (4 * batch * heads * tokens * tokens * dHead) / seconds;
}

/** Double-precision products, as an inverse factor asks for them one after the other: most of them small. */
async function float64Rate(dInner: number, clock: Stopwatch, runSeconds: number): Promise<number> {
  const engine = new OnnxGemmEngine();
  const moment = definite(Math.min(dInner, widestFactor));
  let flops = 0;
  const seconds = await clock.medianOf(async () => {
    let [spent, products] = [0, 0];
    flops = 0;
    const gemm: OnnxGemmEngine['gemm'] = async (a, b, options) => {
      const start = clock.nowSeconds();
      const product = await engine.gemm(a, b, options);
      spent += clock.nowSeconds() - start;
      products++;
      flops += 2 * a.data.length * (options?.transB ? b.rows : b.columns);
      return product;
    };
    await inverseFactor(moment, { gemm });
    return Math.max(spent - products * runSeconds, 0.2 * spent);
  });
  await engine.dispose();
  return flops / seconds;
}

/** Plain TypeScript: factor and inverse of a diagonal block, adding float32 to float64, and rounding. */
async function hostRates(dInner: number, clock: Stopwatch) {
  const corner = definite(blockSize);
  const engine = new PlainGemmEngine();
  const seconds = await clock.secondsOf(() => inverseFactor(corner, engine));
  const count = Math.min(dInner ** 2, 4_000_000);
  const [sum, batch] = [new Float64Array(count), waves(count, 1)];
  const adding = await clock.secondsOf(async () => addTo(sum, batch));
  const [rows, width] = [16, 1024];
  const numbers = sines(rows, width);
  const { roundKeys } = segmentStorage(width, width);
  const rounding = await clock.secondsOf(async () => roundKeys(numbers.data));
  return {
    hostFlops: cornerFlops(blockSize) / seconds,
    hostElements: count / adding,
    roundedNumbers: (rows * width) / rounding,
  };
}

/**
 * Everything of a block that is no product, from a small and a large batch through a block, forward and backward: what
 * arithmetic leaves of their times is `elements / rate + operators * start`.
 */
async function operatorRates(sizes: ProbeSizes, known: ProductRates, clock: Stopwatch) {
  const leftOver = async (batch: number, tokens: number) => {
    const probe = await BlockProbe.compile(sizes, batch, tokens);
    const seconds = await clock.secondsOf(() => probe.run());
    await probe.dispose();
    const { gemmFlops, attentionFlops, operandBytes, elements, operators } = probe.work;
    const products =
      gemmFlops / known.gemmFlops + attentionFlops / known.attentionFlops + operandBytes / known.operandBytes;
    return { seconds: Math.max(seconds - products - known.runSeconds, 0.1 * seconds), elements, operators };
  };
  const [small, large] = [await leftOver(4, 8), await leftOver(32, 16)];
  const perElement = Math.max(
    (large.seconds - small.seconds) / (large.elements - small.elements),
    (0.2 * large.seconds) / large.elements,
  );
  const operatorSeconds = Math.max((small.seconds - perElement * small.elements) / small.operators, 1e-7);
  return { elements: 1 / perElement, operatorSeconds };
}

/** What it takes to start a run. */
function runSeconds(clock: Stopwatch): Promise<number> {
  return secondsOfGraph(clock, { x: [1, 8], y: [1, 8] }, ({ x, y }) => add(x, y));
}

async function secondsOfGraph<Name extends string>(
  clock: Stopwatch,
  shapes: Readonly<Record<Name, readonly number[]>>,
  build: (inputs: Record<Name, Value>) => Value,
): Promise<number> {
  const graph = new Graph();
  const names = Object.keys(shapes) as Name[];
  const inputs = names.map((name) => [name, graph.input(name, 'float32', [...shapes[name]])] as const);
  graph.output('result', build(Object.fromEntries(inputs) as Record<Name, Value>));
  const program = await compile(graph);
  const feeds = Object.fromEntries(names.map((name) => [name, filled(shapes[name])]));
  const seconds = await clock.secondsOf(() => program.run(feeds));
  await program.dispose();
  return seconds;
}

function filled(shape: readonly number[]): Tensor {
  return tensor(
    'float32',
    shape,
    waves(
      shape.reduce((size, dim) => size * dim, 1),
      0.5,
    ),
  );
}

function sines(rows: number, columns: number): Matrix {
  return matrix(rows, columns, Float64Array.from(waves(rows * columns, 1)));
}

/** Symmetric enough for a factor, which reads its lower triangle only, and well conditioned. */
function definite(size: number): Matrix {
  const result = sines(size, size);
  for (let i = 0; i < size; i++) result.data[i * size + i] = size;
  return result;
}
