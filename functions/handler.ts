import { stateErrorOf } from '../src/local/index.js';
import { openStore } from '../src/registry/index.js';
import type { FunctionInput, FunctionOutput, FunctionStage } from '../src/workflow/contract.js';
import { environmentNames } from '../src/workflow/contract.js';
import { parseInput, type StageDependencies } from '../src/workflow/index.js';
import { StepFunctionsExecutions } from './step-functions-executions.js';

/** A stage of the workflow. */
type Stage<S extends FunctionStage> = (
  input: FunctionInput<S>,
  dependencies: StageDependencies,
) => Promise<FunctionOutput<S>>;

/**
 * A stage as a function of the state machine. It checks the input, calls the stage and returns its output. Errors have
 * the names by which the machine retries and catches.
 */
export function functionHandler<S extends FunctionStage>(
  stage: S,
  run: Stage<S>,
): (event: unknown) => Promise<FunctionOutput<S>> {
  return async (event) => {
    try {
      return await run(parseInput(stage, event), dependencies());
    } catch (error) {
      throw stateErrorOf(error);
    }
  };
}

let shared: StageDependencies | undefined;

/** One store and one client for the lifetime of the function's process. */
function dependencies(): StageDependencies {
  shared ??= {
    store: openStore(process.env[environmentNames.store] ?? ''),
    executions: new StepFunctionsExecutions(process.env[environmentNames.stateMachine] ?? ''),
    now: () => new Date(),
  };
  return shared;
}
