import { describe, expect, it } from 'vitest';
import { readModelStatus } from '../../../src/local/model-status.js';
import { readInbox, refuse } from '../../../src/workflow/queue/inbox.js';
import { drop, editLine, modelId, registeredStore } from '../../support/control-plane.js';

describe('the status of a model', () => {
  it('counts what waits, and says of the rest of its inbox why it does not', async () => {
    const store = await registeredStore();
    for (const name of ['good.jsonl', 'refused.jsonl', '.hidden', 'edits.jsonl.part'])
      await drop(store, name, [editLine('a')]);
    await drop(store, 'empty.jsonl', []);
    const refused = (await readInbox(store, modelId)).find(({ key }) => key.endsWith('refused.jsonl'))!;
    await refuse(store, modelId, refused, 'batch: at most 64 MiB, got 65 MiB');
    const { waiting, held } = await readModelStatus(store, modelId);
    expect(waiting).toBe(1);
    expect(held).toEqual([
      { key: 'incoming/m/refused.jsonl', state: 'refused', reason: 'batch: at most 64 MiB, got 65 MiB' },
      { key: 'incoming/m/.hidden', state: 'passed over', reason: 'a hidden or temporary name' },
      { key: 'incoming/m/edits.jsonl.part', state: 'passed over', reason: 'a hidden or temporary name' },
      { key: 'incoming/m/empty.jsonl', state: 'passed over', reason: 'empty' },
    ]);
  });
});
