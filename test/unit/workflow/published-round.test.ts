import { expect, it } from 'vitest';
import { readPublishedRound } from '../../../src/workflow/plan/published-round.js';
import { attemptKey } from '../../../src/workflow/plan/round-files.js';
import { ingestStage } from '../../../src/workflow/stages/ingest.js';
import { planStage } from '../../../src/workflow/stages/plan.js';
import { publishStage } from '../../../src/workflow/stages/publish.js';
import {
  dependenciesOn,
  drop,
  editAndJudge,
  editLine,
  modelId,
  registeredStore,
  registrationOf,
  solveAndValidate,
  storeStatistics,
} from '../../support/control-plane.js';

const call = { executionId: 'e', modelId };

it('is read from the solve that was published, not from a plan on the same base that was given up', async () => {
  const store = await registeredStore();
  const dependencies = dependenciesOn(store);
  await storeStatistics(store);
  await drop(store, 'batch', [editLine('a'), editLine('b')]);
  await ingestStage({ ...call, trigger: 'drop', objectKey: '' }, dependencies);
  const plans = [];
  for (const compareGates of [true, false]) {
    const registration = new TextEncoder().encode(JSON.stringify(registrationOf({ compareGates })));
    await store.put(`models/${modelId}/model.json`, registration);
    plans.push(await planStage({ ...call, fence: 1 }, dependencies));
  }
  const [givenUp, published] = plans.sort((first, second) => (first.planKey < second.planKey ? -1 : 1));
  expect(givenUp.planKey).not.toBe(published.planKey);
  await solveAndValidate(store, givenUp.planKey, 0);
  const key = attemptKey(givenUp.planKey, 0, 'validation-0.json');
  const record = new TextDecoder().decode((await store.get(key)).bytes);
  await store.put(key, new TextEncoder().encode(record.replaceAll('"after"', '"given up"')));
  const { attempt, reason } = await editAndJudge(published, dependencies, { reliability: { b: 0.5 } });
  const { planKey } = published;
  await publishStage({ ...call, action: 'publish', planKey, attempt, reason }, dependencies);
  const { edits, examples } = await readPublishedRound(store, modelId, 1);
  expect([edits, examples]).toEqual([1, [{ prompt: expect.any(String), before: 'before', after: 'after' }]]);
});
