import { Choice, Condition, type IChainable, JsonPath, Succeed } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { FailureStates } from './failure-states.js';
import type { WorkflowStates } from './workflow-states.js';

const text = JsonPath.stringAt;

/** The states in which the paths through the machine meet. */
export interface Ending {
  /** Next state after the outcome of a round is written. */
  readonly release: IChainable;
  /** Next state after it is recorded. */
  readonly tell: IChainable;
  readonly collect: IChainable;
  readonly done: IChainable;
}

/** After the outcome is written: releases the model, records, announces, and looks for more edits. */
export function endingStates(scope: Construct, states: WorkflowStates, failures: FailureStates): Ending {
  const release = states.release('Release', 'Gives the model back.');
  const emit = states.emit('EmitEvent', 'Tells programs of the outcome.');
  const announce = states.announce('Announce', 'Tells people of the outcome.');
  const collect = states.collect('Collect', 'Starts the next execution if anything is pending.');
  const done = new Succeed(scope, 'Done', { comment: 'The execution did what it was started for.' });
  const said = { roundId: text('$.plan.roundId'), cause: text('$.publish.reason') };
  const published = states.notify('NotifyPublished', 'Records the published version.', {
    ...said,
    outcome: 'PUBLISHED',
    version: JsonPath.numberAt('$.publish.version'),
  });
  const rejected = states.notify('NotifyRejected', 'Records the rejected round.', {
    ...said,
    outcome: 'REJECTED',
  });
  const wasPublished = new Choice(scope, 'WasPublished', { comment: 'What the round came to.' })
    .when(Condition.stringEquals('$.publish.outcome', 'published'), published)
    .otherwise(rejected);
  failures.guard('lease', release).next(wasPublished);
  for (const notify of [published, rejected]) failures.guard('notify', notify).next(emit);
  failures.guard('emit', emit).next(announce);
  failures.guard('announce', announce).next(collect);
  failures.guard('collect', collect).next(done);
  return { release, tell: emit, collect, done };
}
