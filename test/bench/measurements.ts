/** @file What `npm run bench` measures, by the names that `--only` takes. */
import { measureArtifact } from './artifact.js';
import type { BenchContext } from './context.js';
import { measureDecoding } from './decoding.js';
import { measurePlan } from './estimate.js';
import type { Measurement } from './figure.js';
import { measureGemm } from './gemm-rate.js';
import { measureHookOverhead } from './hook-overhead.js';
import { measureIdlePull } from './idle-pull.js';
import { measureInverseFactor } from './inverse-factor.js';
import { measureMemory } from './memory.js';
import { measureMicroBatches } from './micro-batches.js';
import { measurePeers } from './peers.js';
import { measurePytorchSearch } from './pytorch-search.js';
import { measureRounds } from './rounds.js';
import { measureShapes } from './shapes.js';
import { measureSolvers } from './solvers.js';
import { measureStatistics } from './statistics.js';
import { measureUse } from './use.js';
import { measureValueEfficiency } from './value-efficiency.js';
import { measureValueSearch } from './value-search.js';
import { measureVersionSwitch } from './version-switch.js';

/** Every measurement, in the order in which they are made. */
export const measurements: Readonly<Record<string, (context: BenchContext) => Promise<Measurement>>> = {
  gemm: measureGemm,
  'value-search': measureValueSearch,
  'pytorch-search': measurePytorchSearch,
  'value-efficiency': measureValueEfficiency,
  'micro-batches': measureMicroBatches,
  statistics: measureStatistics,
  rounds: measureRounds,
  'hook-overhead': measureHookOverhead,
  decoding: measureDecoding,
  'version-switch': measureVersionSwitch,
  'idle-pull': measureIdlePull,
  artifact: measureArtifact,
  memory: measureMemory,
  shapes: measureShapes,
  'inverse-factor': measureInverseFactor,
  solvers: measureSolvers,
  plan: measurePlan,
  use: measureUse,
  peers: measurePeers,
};

/** Those that compare with PyTorch. */
export const needsPython: readonly string[] = ['pytorch-search', 'peers'];
