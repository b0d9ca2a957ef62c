import {
  type CatchProps,
  Choice,
  Condition,
  Errors,
  Fail,
  type IChainable,
  JsonPath,
  Pass,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { WorkflowStates } from './workflow-states.js';

/** A state whose failure can be caught. */
interface Failing {
  readonly id: string;
  addCatch(handler: IChainable, props?: CatchProps): unknown;
}

const text = JsonPath.stringAt;

/**
 * The states after the failure of any stage. The lease is given back if it is held, the failure is recorded and
 * announced, the next execution is started, and this one fails with the error's own name. A failure here skips only its
 * own step.
 */
export class FailureStates {
  readonly #start: Pass;
  readonly #scope: Construct;

  constructor(scope: Construct, states: WorkflowStates) {
    this.#scope = scope;
    this.#start = new Pass(scope, 'DescribeFailure', {
      comment: 'Names the failure: the stage, the error and its cause.',
      parameters: {
        stage: text('$.failure.stage'),
        error: text('$.failure.thrown.Error'),
        cause: text('$.failure.thrown.Cause'),
      },
      resultPath: '$.failure',
    });
    this.#start.next(this.#handling(states));
  }

  /** Catches every error of a state, after its own catches. @param stage as the record names it */
  guard<S extends Failing>(stage: string, state: S): S {
    const failed = this.failWith(`FailedAt${state.id}`, stage, '$.error');
    state.addCatch(failed, { errors: [Errors.ALL], resultPath: '$.error' });
    return state;
  }

  /** A state that fails the stage with a caught error. @param errorPath path of the error */
  failWith(name: string, stage: string, errorPath: string): IChainable {
    const failed = new Pass(this.#scope, name, {
      comment: `Says that the stage ${stage} failed.`,
      // An error may have no cause.
      parameters: {
        stage,
        thrown: JsonPath.jsonMerge(JsonPath.objectAt('$.nothing'), JsonPath.objectAt(errorPath)),
      },
      resultPath: '$.failure',
    });
    failed.next(this.#start);
    return failed;
  }

  #handling(states: WorkflowStates): IChainable {
    const release = states.release('ReleaseFailed', 'Gives the model back after a failure.');
    const notify = states.notify('NotifyFailed', 'Records the failure and sets a round aside that keeps failing.', {
      outcome: 'FAILED',
      roundId: text('$.plan.roundId'),
      stage: text('$.failure.stage'),
      error: text('$.failure.error'),
      cause: text('$.failure.cause'),
    });
    const emit = states.emit('EmitFailed', 'Tells programs of the failure.');
    const announce = states.announce('AnnounceFailed', 'Tells people of the failure.');
    const collect = states.collect('CollectAfterFailure', 'Starts the next execution if anything is pending.');
    const failed = new Fail(this.#scope, 'Failed', {
      comment: 'The execution failed as its stage did.',
      errorPath: '$.failure.error',
      causePath: '$.failure.cause',
    });
    const onError: CatchProps = { errors: [Errors.ALL], resultPath: '$.error' };
    release.addCatch(notify, onError).next(notify);
    // Without a note there is nothing to announce.
    notify.addCatch(collect, onError).next(emit);
    emit.addCatch(announce, onError).next(announce);
    announce.addCatch(collect, onError).next(collect);
    collect.addCatch(failed, onError).next(failed);
    return new Choice(this.#scope, 'HoldsLease', { comment: 'Only a lease that is held is given back.' })
      .when(Condition.booleanEquals('$.lease.acquired', true), release)
      .otherwise(notify);
  }
}
