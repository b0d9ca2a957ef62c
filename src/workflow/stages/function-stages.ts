/** @file The stages that run as functions, by name. */
import { InvalidInputError } from '../../errors.js';
import { type FunctionInput, type FunctionOutput, type FunctionStage, payloads } from '../contract.js';
import type { StageDependencies } from '../executions.js';
import { collectStage } from './collect.js';
import { ingestStage } from './ingest.js';
import { judgeStage } from './judge.js';
import { leaseStage } from './lease.js';
import { notifyStage } from './notify.js';
import { planStage } from './plan.js';
import { publishStage } from './publish.js';

type Stages = {
  readonly [S in FunctionStage]: (
    input: FunctionInput<S>,
    dependencies: StageDependencies,
  ) => Promise<FunctionOutput<S>>;
};

const stages: Stages = {
  ingest: ingestStage,
  lease: leaseStage,
  plan: planStage,
  judge: judgeStage,
  publish: publishStage,
  collect: collectStage,
  notify: notifyStage,
};

/** All function stages with these dependencies. Each checks its input. */
export function stageFunctions(
  dependencies: StageDependencies,
): Readonly<Record<FunctionStage, (input: unknown) => Promise<unknown>>> {
  const bound = <S extends FunctionStage>(stage: S) => [
    stage,
    (input: unknown) => stages[stage](parseInput(stage, input), dependencies),
  ];
  return Object.fromEntries(Object.keys(stages).map((stage) => bound(stage as FunctionStage)));
}

/** Checks the input of a function stage. @throws {InvalidInputError} naming the field that does not fit the contract */
export function parseInput<S extends FunctionStage>(stage: S, input: unknown): FunctionInput<S> {
  const parsed = payloads[stage].input.safeParse(input);
  if (parsed.success) return parsed.data as FunctionInput<S>;
  const { path, message } = parsed.error.issues[0];
  throw new InvalidInputError(`input of ${stage}: ${path.join('.') || 'payload'}`, message, 'another value');
}
