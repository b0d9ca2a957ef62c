import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import {
  Choice,
  Condition,
  DefinitionBody,
  type IChainable,
  JsonPath,
  LogLevel,
  Pass,
  StateMachine,
} from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { errorNames } from '../src/workflow/contract.js';
import { type Ending, endingStates } from './ending-states.js';
import { FailureStates } from './failure-states.js';
import { acknowledgeFindings, batchStatements } from './workflow-rights.js';
import { WorkflowStates, type WorkflowStatesProps } from './workflow-states.js';

const text = JsonPath.stringAt;
const number = JsonPath.numberAt;

/** How often a round is planned again because `latest` has moved. */
const maxReplans = 3;

const { executionId } = JsonPath;
const modelId = text('$.ingest.modelId');
const planKey = text('$.plan.planKey');
const attempt = number('$.attempt.number');

/** ARN of the state machine before it exists. Its functions need the ARN, and it needs the functions. */
export const stateMachineArn = (stack: Stack, name: string): string =>
  stack.formatArn({ service: 'states', resource: `stateMachine:${name}` });

/**
 * The state machine: one execution is one round.
 *
 *     Ingest -> AcquireLease -> Plan -> Statistics -> Values -> Solve -> Validate -> Judge -> Publish -> Release
 *            -> Notify -> EmitEvent -> Announce -> Collect
 *
 * The state of an execution is its input and the outputs of its stages: `$.ingest`, `$.lease`, `$.plan`, `$.attempt`,
 * `$.judge`, `$.publish`, `$.note`. They hold only keys and counts.
 */
export class EditingWorkflow extends Construct {
  readonly stateMachine: StateMachine;
  readonly #states: WorkflowStates;
  readonly #failures: FailureStates;

  constructor(scope: Construct, id: string, props: WorkflowStatesProps) {
    super(scope, id);
    const { settings } = props;
    this.#states = new WorkflowStates(this, props);
    this.#failures = new FailureStates(this, this.#states);
    this.stateMachine = new StateMachine(this, 'StateMachine', {
      stateMachineName: settings.name,
      comment: 'Edits a deployed language model: one execution is one round of edits.',
      definitionBody: DefinitionBody.fromChainable(this.#begin()),
      timeout: Duration.hours(settings.executionHours),
      tracingEnabled: true,
      logs: {
        // Log groups with this prefix share one short resource policy.
        destination: new LogGroup(this, 'Logs', {
          logGroupName: `/aws/vendedlogs/states/${settings.name}`,
          retention: settings.logRetentionDays,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
        level: LogLevel.ALL,
        includeExecutionData: true,
      },
    });
    for (const statement of batchStatements(props, Stack.of(this))) this.stateMachine.addToRolePolicy(statement);
    // The topic is encrypted.
    props.notifications.key.grant(this.stateMachine, 'kms:Decrypt', 'kms:GenerateDataKey*');
    acknowledgeFindings(this.stateMachine, props);
  }

  #begin(): IChainable {
    const begin = new Pass(this, 'Begin', {
      comment: 'Lays out what the failure path reads, so that a failure of any stage finds it.',
      parameters: {
        trigger: text('$.trigger'),
        objectKey: text('$.objectKey'),
        modelId: text('$.modelId'),
        ingest: { modelId: text('$.modelId'), reason: '' },
        lease: { acquired: false, fence: 0 },
        plan: { roundId: '' },
        replans: { count: 0 },
        nothing: { Error: '', Cause: '' },
      },
    });
    const ingest = this.#states.call(
      'Ingest',
      'ingest',
      { executionId, trigger: text('$.trigger'), objectKey: text('$.objectKey'), modelId: text('$.modelId') },
      '$.ingest',
      'Checks what was dropped and files its edits as pending.',
    );
    this.#failures.guard('ingest', ingest);
    const ending = endingStates(this, this.#states, this.#failures);
    const isRejected = new Choice(this, 'IsBatchRejected', {
      comment: 'A batch without a single usable line ends here.',
    })
      .when(Condition.stringEquals('$.ingest.outcome', 'rejected'), this.#rejectedBatch(ending))
      .otherwise(this.#acquire(ending));
    return begin.next(ingest).next(isRejected);
  }

  #rejectedBatch(ending: Ending): IChainable {
    const cause = text('$.ingest.reason');
    const notify = this.#states.notify('NotifyRejectedBatch', 'Records that the batch was rejected.', {
      outcome: 'REJECTED',
      cause,
    });
    return this.#failures.guard('notify', notify).next(ending.tell);
  }

  #acquire(ending: Ending): IChainable {
    const acquire = this.#states.call(
      'AcquireLease',
      'lease',
      { action: 'acquire', executionId, modelId, fence: 0 },
      '$.lease',
      'Takes the model: one round at a time.',
    );
    const pending = this.#states.notify('NotifyPending', 'Records that the edits wait for the round in work.', {
      outcome: 'PENDING',
      cause: text('$.lease.owner'),
    });
    this.#failures.guard('notify', pending).next(ending.done);
    return this.#failures
      .guard('lease', acquire)
      .next(
        new Choice(this, 'IsLeaseAcquired', { comment: 'Who holds the model looks for pending edits when it is done.' })
          .when(Condition.booleanEquals('$.lease.acquired', true), this.#round(ending))
          .otherwise(pending),
      );
  }

  #round(ending: Ending): IChainable {
    const plan = this.#states.call(
      'Plan',
      'plan',
      { executionId, modelId, fence: number('$.lease.fence') },
      '$.plan',
      'Makes a round of the oldest pending edits, or takes up the one in work, on the published version.',
    );
    const hasRound = new Choice(this, 'HasRound', { comment: 'Nothing may be pending.' })
      .when(Condition.booleanEquals('$.plan.hasRound', true), this.#edit(plan, ending))
      .otherwise(this.#nothing(ending));
    return this.#failures.guard('plan', plan).next(hasRound);
  }

  #nothing(ending: Ending): IChainable {
    const release = this.#states.release('ReleaseNothing', 'Gives the model back: nothing is pending.');
    const notify = this.#states.notify('NotifyNothing', 'Records that there was nothing to do.', {
      outcome: 'NOTHING',
    });
    this.#failures.guard('notify', notify).next(ending.collect);
    return this.#failures.guard('lease', release).next(notify);
  }

  /** Missing statistics, values, then the solves. */
  #edit(plan: IChainable, ending: Ending): IChainable {
    const attemptZero = this.#setAttempt('FirstAttempt', '$.plan.attempt', 'Begins with all edits of the round.');
    const statistics = this.#states.shards(
      'Statistics',
      'statistics',
      '$.plan.statisticsShards',
      'Measures the keys of the corpus.',
    );
    const merge = this.#states.task('MergeStatistics', 'merge', 'Adds up the statistics of all shards.');
    const values = this.#states.shards(
      'Values',
      'values',
      '$.plan.valueShards',
      'Optimises the values that are not stored yet, apart for each edit.',
    );
    this.#failures.guard('values', values).next(this.#solve(plan, ending));
    this.#failures.guard('statistics', statistics).next(merge);
    this.#failures.guard('merge', merge).next(values);
    const needsStatistics = new Choice(this, 'NeedsStatistics', {
      comment: 'Statistics are measured once for a model.',
    })
      .when(Condition.booleanEquals('$.plan.statisticsNeeded', true), statistics)
      .otherwise(values);
    return attemptZero.next(needsStatistics);
  }

  /** Solves, validates and judges. Repeats this without the edits that failed, if the criteria say so. */
  #solve(plan: IChainable, ending: Ending): IChainable {
    const solve = this.#states.task('Solve', 'solve', 'Solves the hooks of all kept edits at once.');
    const validate = this.#states.shards(
      'Validate',
      'validate',
      '$.plan.validationShards',
      'Measures the edited model on the edits.',
    );
    const judge = this.#states.call(
      'Judge',
      'judge',
      { modelId, planKey, attempt },
      '$.judge',
      'Decides by the criteria: publish, solve again without the edits that failed, or reject.',
    );
    const again = this.#setAttempt('SetAttempt', '$.judge.attempt', 'Solves again without the rejected edits.');
    again.next(solve);
    const decision = new Choice(this, 'Decide', { comment: 'What the criteria decided.' })
      .when(Condition.stringEquals('$.judge.decision', 'publish'), this.#publish(plan, ending))
      .when(Condition.stringEquals('$.judge.decision', 'repeat'), again)
      .otherwise(this.#reject(ending));
    this.#failures.guard('judge', judge).next(decision);
    this.#failures.guard('validate', validate).next(judge);
    return this.#failures.guard('solve', solve).next(validate);
  }

  #publish(plan: IChainable, ending: Ending): IChainable {
    const publish = this.#end('Publish', 'publish', 'Publishes the version if the base is still the latest.');
    publish.addCatch(this.#replan(plan), { errors: [errorNames.staleBase], resultPath: '$.stale' });
    return this.#failures.guard('publish', publish).next(ending.release);
  }

  #reject(ending: Ending): IChainable {
    const reject = this.#end('RejectRound', 'reject', 'Writes down that the round is rejected.');
    return this.#failures.guard('publish', reject).next(ending.release);
  }

  #end(name: string, action: 'publish' | 'reject', comment: string) {
    const payload = { action, executionId, modelId, planKey, attempt, reason: text('$.judge.reason') };
    return this.#states.call(name, 'publish', payload, '$.publish', comment);
  }

  /** If somebody else moved `latest`, the round runs again on the new base, with the values that are still valid. */
  #replan(plan: IChainable): IChainable {
    const count = new Pass(this, 'CountReplan', {
      comment: 'The base moved: the round is planned again on the new one.',
      parameters: { count: JsonPath.mathAdd(number('$.replans.count'), 1) },
      resultPath: '$.replans',
    });
    return count.next(
      new Choice(this, 'MayReplan', { comment: 'A base that keeps moving has another writer: the round fails.' })
        .when(Condition.numberLessThanEquals('$.replans.count', maxReplans), plan)
        .otherwise(this.#failures.failWith('FailedAtStaleBase', 'publish', '$.stale')),
    );
  }

  #setAttempt(name: string, path: string, comment: string): Pass {
    return new Pass(this, name, { comment, parameters: { number: number(path) }, resultPath: '$.attempt' });
  }
}
