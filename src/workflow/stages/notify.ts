/** @file Function `notify`: stores how an execution ended, and tells it in words. */
import { z } from 'zod';
import { checkObjectKey, modelIdOfIncomingKey, type ObjectStore, recordKey, storeOnce } from '../../registry/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import { executionNameOf, type StageDependencies } from '../executions.js';
import { causeInWords } from '../failure-cause.js';
import { findOutcome } from '../queue/current-round.js';
import { type FailureEffect, recordFailure } from '../queue/record-failure.js';
import { forgetStalls } from '../queue/stalls.js';

type Input = FunctionInput<'notify'>;
type Output = FunctionOutput<'notify'>;

const recordForm = {
  what: 'the record of an execution',
  schema: z.strictObject({
    schemaVersion: z.literal(1),
    executionId: z.string(),
    modelId: z.string(),
    outcome: z.string(),
    roundId: z.string(),
    version: z.int(),
    stage: z.string(),
    error: z.string(),
    cause: z.string(),
    at: z.iso.datetime(),
    subject: z.string(),
    message: z.string(),
  }),
};

/** Records how an execution ended. A round that cannot succeed or that failed too often is quarantined. */
export async function notifyStage(input: Input, dependencies: StageDependencies): Promise<Output> {
  const { store, now } = dependencies;
  const { outcome, executionId, modelId, roundId, version, stage, error } = input;
  const isNamed = modelIdOfIncomingKey(`incoming/${modelId}/-`) === modelId;
  const cause = causeInWords(input.cause);
  const effect = outcome === 'FAILED' && isNamed ? await recordFailure(input, cause, dependencies) : 'none';
  if (outcome !== 'FAILED' && outcome !== 'PENDING' && isNamed) await forgetStalls(store, modelId);
  const subject = subjectOf(input);
  const message = await messageOf(store, input, cause, effect);
  const name = executionNameOf(executionId);
  // A key of the inbox may name no possible model: then there is no folder of a model to record it in.
  const key = isNamed ? recordKey(modelId, name) : checkObjectKey(`records/${name}.json`);
  const ended = { executionId, modelId, outcome, roundId, version, stage, error, cause };
  const said = { at: now().toISOString(), subject, message };
  await storeOnce(store, key, recordForm, { schemaVersion: 1, ...ended, ...said });
  return { outcome, modelId, version, subject, message, recordKey: key };
}

const subjectLimit = 99;

function subjectOf({ outcome, modelId, roundId, version, stage }: Input): string {
  const model = modelId === '' ? 'hookline' : `hookline ${modelId}`;
  const said = {
    PUBLISHED: `version ${version} published`,
    REJECTED: roundId === '' ? 'batch rejected' : 'round rejected',
    PENDING: 'edits wait for the round in work',
    NOTHING: 'nothing to do',
    FAILED: `failed at ${stage}`,
  }[outcome];
  return `${model}: ${said}`.slice(0, subjectLimit);
}

async function messageOf(store: ObjectStore, input: Input, cause: string, effect: FailureEffect): Promise<string> {
  const { outcome, modelId, roundId, stage, error, rejectedFiles } = input;
  const ended = roundId === '' || outcome === 'FAILED' ? undefined : await findOutcome(store, modelId, roundId);
  const rejected = ended !== undefined && ended.rejected > 0 ? `, ${ended.rejected} rejected` : '';
  const lines = [
    ...(ended?.outcome === 'published' ? [`${ended.edits} edits published${rejected}.`] : []),
    ...(outcome === 'REJECTED' ? [`Rejected: ${cause}.`] : []),
    ...(rejectedFiles === '' || rejectedFiles === input.cause
      ? []
      : [`Rejected of what was dropped: ${rejectedFiles}.`]),
    ...(outcome === 'PENDING' ? [`Execution ${cause} holds the model and goes on with what is pending.`] : []),
    ...(outcome === 'FAILED' ? [`Stage ${stage} failed: ${error}: ${cause}`, effectText[effect]] : []),
    ...(roundId === '' ? [] : [`Round ${roundId} of model ${modelId}.`]),
    `Execution ${input.executionId}.`,
  ];
  return lines.filter((line) => line !== '').join('\n');
}

const effectText: Record<FailureEffect, string> = {
  none: '',
  retried: 'The round stays in work: the next execution goes on with it.',
  quarantined: 'The round is quarantined: its edits are under failed/ until they are driven again (hookline redrive).',
};
