/** @file Function `plan`: begins a round with the oldest pending edits, or goes on with the round in work. */
import { latest, type ObjectStore } from '../../registry/index.js';
import type { RoundOutcomeRecord } from '../../rounds/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import type { StageDependencies } from '../executions.js';
import { makePlan, openValueShards } from '../plan/make-plan.js';
import {
  beginRound,
  type CurrentRound,
  findCurrentRound,
  findOutcome,
  finishQuarantine,
  finishRound,
  publishedVersionOf,
} from '../queue/current-round.js';
import { isAnyIn } from '../queue/inbox.js';
import { chooseUnits, type PendingUnit, pendingNames, readPending } from '../queue/pending-units.js';
import { type Registration, readRegistration } from '../registration.js';

type Input = FunctionInput<'plan'>;
type Output = FunctionOutput<'plan'>;

const noRound: Output = {
  hasRound: false,
  roundId: '',
  planKey: '',
  edits: 0,
  statisticsNeeded: false,
  statisticsShards: [],
  valueShards: [],
  validationShards: [],
  attempt: 0,
};

/**
 * Plans the round in work on the latest version. If that round has ended and only its last stage was cut off, its end is
 * completed first, and the next round is planned.
 *
 * @throws {PermanentError} naming the object that is damaged, missing or contradictory
 */
export async function planStage(input: Input, dependencies: StageDependencies): Promise<Output> {
  const { store } = dependencies;
  const registration = await readRegistration(store, input.modelId);
  for (;;) {
    const round = await roundInWork(registration, input, dependencies);
    if (round === undefined) return noRound;
    // Read before what was published: if this round is published in between, its base has moved and it cannot be published again.
    const base = await latest(store, registration.modelId);
    const units = await unitsToEdit(registration, round, input, dependencies);
    if (units === undefined) continue;
    const stored = await makePlan({ store, registration, roundId: round.roundId, units, base, isLast: round.isLast });
    const { plan, planKey, areStatisticsStored } = stored;
    return {
      hasRound: true,
      roundId: round.roundId,
      planKey,
      edits: plan.edits.length,
      statisticsNeeded: !areStatisticsStored,
      statisticsShards: areStatisticsStored ? [] : indices(plan.statisticsShards),
      valueShards: await openValueShards(store, stored),
      validationShards: indices(plan.validationShards.length),
      attempt: 0,
    };
  }
}

const indices = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

async function roundInWork(
  registration: Registration,
  { executionId }: Input,
  { store, now }: StageDependencies,
): Promise<CurrentRound | undefined> {
  const current = await findCurrentRound(store, registration.modelId);
  if (current !== undefined) return current;
  const units = await chooseUnits(store, registration);
  if (units.length === 0) return undefined;
  const isLast = !(await isMoreWaiting(store, registration.modelId, units));
  return beginRound(store, registration.modelId, units, { executionId, startedAt: now().toISOString(), isLast });
}

async function isMoreWaiting(store: ObjectStore, modelId: string, units: readonly string[]): Promise<boolean> {
  const others = (await pendingNames(store, modelId)).filter((name) => !units.includes(name));
  return others.length > 0 || (await isAnyIn(store, modelId, 'waiting', 'growing'));
}

/** The units of a round; undefined if the round has ended, whose end is then completed. */
async function unitsToEdit(
  { modelId }: Registration,
  round: CurrentRound,
  input: Input,
  { store, now }: StageDependencies,
): Promise<readonly PendingUnit[] | undefined> {
  const { roundId } = round;
  if (round.quarantined === true) {
    await finishQuarantine(store, modelId, round);
    return undefined;
  }
  const outcome = await findOutcome(store, modelId, roundId);
  if (outcome !== undefined) {
    await finishRound(store, modelId, roundId, outcome);
    return undefined;
  }
  const units: PendingUnit[] = [];
  for (const name of round.units) units.push(await readPending(store, modelId, name));
  const published = await unrecordedOutcome(store, modelId, roundId, units);
  if (published === undefined) return units;
  const { executionId } = input;
  await finishRound(store, modelId, roundId, { ...published, executionId, at: now().toISOString() });
  return undefined;
}

async function unrecordedOutcome(
  store: ObjectStore,
  modelId: string,
  roundId: string,
  units: readonly PendingUnit[],
): Promise<Omit<RoundOutcomeRecord, 'executionId' | 'at'> | undefined> {
  const newestVersion = Math.min(...units.map((unit) => unit.newestVersion));
  const published = await publishedVersionOf(store, modelId, roundId, newestVersion);
  if (published === undefined) return undefined;
  const { version, edits } = published;
  const all = units.reduce((sum, unit) => sum + unit.edits, 0);
  return { outcome: 'published', version, reason: '', edits, rejected: all - edits };
}
