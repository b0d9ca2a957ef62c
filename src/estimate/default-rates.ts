/**
 * @file All prices and rates. `hookline estimate --print-rates` prints them as JSON, `--rates <file>` reads a changed
 *   copy.
 *
 * Peaks are those of the makers' data sheets, dense: NVIDIA A10G, L4, L40S, A100 SXM4 40 GB, H100 SXM5. Float32
 * products run as TF32 there, which is ONNX Runtime's default on CUDA. GPU efficiencies are not measured: they are what
 * products of a thousand rows commonly reach. The host's rates were measured on one core of a server.
 */
import type { Rates } from './rates-schema.js';

const tera = 1e12;
const giga = 1e9;

const thousandRows = 'products of about 1000 rows fill a GPU well, short of the largest ones';
const smallBatches = 'sequences of ten to a hundred tokens: small batched products, bound by starts and memory';
const plainDouble = 'one in 64 units does double precision; what there are is kept busy';
const streaming = 'long streams reach about three quarters of the peak';

function gpu(memoryGiB: number, tf32: number, float64: number, gigabytes: number, transfer: number, why = plainDouble) {
  return {
    kind: 'gpu' as const,
    memoryGiB,
    gemm: { peak: tf32 * tera, efficiency: 0.5, why: thousandRows },
    attention: { peak: tf32 * tera, efficiency: 0.05, why: smallBatches },
    float64: { peak: float64 * tera, efficiency: 0.7, why },
    bandwidth: { peak: gigabytes * giga, efficiency: 0.75, why: streaming },
    transferBytesPerSecond: transfer * giga,
    operatorSeconds: 10e-6,
  };
}

/** @param cores each can multiply and add 32 float32 per cycle (two AVX-512 units) at 2.8 GHz */
function sapphireRapids(cores: number, gigabytes: number) {
  const peak = cores * 64 * 2.8 * giga;
  const measured = 'what the same runtime reached on two cores of another processor with AVX-512';
  return {
    kind: 'cpu' as const,
    memoryGiB: 0,
    gemm: { peak, efficiency: 0.6, why: measured },
    attention: { peak, efficiency: 0.15, why: measured },
    float64: { peak: peak / 2, efficiency: 0.35, why: measured },
    bandwidth: { peak: gigabytes * giga, efficiency: 0.5, why: 'one process on a shared socket' },
    transferBytesPerSecond: null,
    operatorSeconds: 10e-6,
  };
}

const halfRateDouble = 'tensor cores in double precision where the library takes them';

/** Prices of Linux instances: the On-Demand list price, and a typical Spot price. */
export const defaultRates: Rates = {
  region: 'us-east-1',
  asOf: '2025',
  note: 'list prices as known in 2025, Spot prices roughly: check before you rely on them',
  devices: {
    A10G: gpu(24, 35, 0.49, 600, 12),
    L4: gpu(24, 60, 0.47, 300, 12),
    L40S: gpu(48, 183, 1.43, 864, 20),
    A100: gpu(40, 156, 19.5, 1555, 20, halfRateDouble),
    'A100-80GB': gpu(80, 156, 19.5, 2039, 20, halfRateDouble),
    H100: gpu(80, 495, 67, 3350, 40, halfRateDouble),
    '8 cores': sapphireRapids(8, 50),
    '32 cores': sapphireRapids(32, 200),
    '96 cores': sapphireRapids(96, 600),
  },
  instances: [
    {
      name: 'g5.xlarge',
      device: 'A10G',
      devices: 1,
      hostMemoryGiB: 16,
      dollarsPerHour: 1.006,
      spotDollarsPerHour: 0.45,
    },
    {
      name: 'g5.12xlarge',
      device: 'A10G',
      devices: 4,
      hostMemoryGiB: 192,
      dollarsPerHour: 5.672,
      spotDollarsPerHour: 2.5,
    },
    {
      name: 'g6.xlarge',
      device: 'L4',
      devices: 1,
      hostMemoryGiB: 16,
      dollarsPerHour: 0.8048,
      spotDollarsPerHour: 0.35,
    },
    {
      name: 'g6.12xlarge',
      device: 'L4',
      devices: 4,
      hostMemoryGiB: 192,
      dollarsPerHour: 4.6016,
      spotDollarsPerHour: 2.0,
    },
    {
      name: 'g6e.xlarge',
      device: 'L40S',
      devices: 1,
      hostMemoryGiB: 32,
      dollarsPerHour: 1.861,
      spotDollarsPerHour: 0.9,
    },
    {
      name: 'g6e.12xlarge',
      device: 'L40S',
      devices: 4,
      hostMemoryGiB: 384,
      dollarsPerHour: 10.4926,
      spotDollarsPerHour: 5,
    },
    {
      name: 'p4d.24xlarge',
      device: 'A100',
      devices: 8,
      hostMemoryGiB: 1152,
      dollarsPerHour: 21.96,
      spotDollarsPerHour: 11,
    },
    {
      name: 'p4de.24xlarge',
      device: 'A100-80GB',
      devices: 8,
      hostMemoryGiB: 1152,
      dollarsPerHour: 27.45,
      spotDollarsPerHour: 14,
    },
    {
      name: 'p5.48xlarge',
      device: 'H100',
      devices: 8,
      hostMemoryGiB: 2048,
      dollarsPerHour: 55.04,
      spotDollarsPerHour: 28,
    },
    {
      name: 'c7i.4xlarge',
      device: '8 cores',
      devices: 1,
      hostMemoryGiB: 32,
      dollarsPerHour: 0.714,
      spotDollarsPerHour: 0.3,
    },
    {
      name: 'r7i.16xlarge',
      device: '32 cores',
      devices: 1,
      hostMemoryGiB: 512,
      dollarsPerHour: 4.2336,
      spotDollarsPerHour: 1.7,
    },
    {
      name: 'r7i.48xlarge',
      device: '96 cores',
      devices: 1,
      hostMemoryGiB: 1536,
      dollarsPerHour: 12.7008,
      spotDollarsPerHour: 5,
    },
  ],
  host: {
    flopsPerSecond: 1e9,
    elementsPerSecond: 0.6e9,
    roundedNumbersPerSecond: 5e6,
    runSeconds: 150e-6,
    why: 'plain loops over typed arrays in Node.js 20 on one server core',
  },
  services: {
    storageDollarsPerGBMonth: 0.023,
    putDollarsPer1000: 0.005,
    getDollarsPer1000: 0.0004,
    transitionDollarsPer1000: 0.025,
    functionDollarsPerGBSecond: 0.0000133334,
    functionDollarsPerMillion: 0.2,
    instanceStartSeconds: 240,
    taskStartSeconds: 20,
    storeBytesPerSecond: 150e6,
    loadBytesPerSecond: 800e6,
  },
};
