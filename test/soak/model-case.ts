/**
 * @file Says of one model after another whether it can be edited, and edits it: a child process that may hang, or take too
 * much memory. A line of standard input is a model's path, a line of standard output an answer.
 */
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { PermanentError } from '../../src/errors.js';
import { importGguf, modelDigest, openModel } from '../../src/model/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import { openEditSession } from '../../src/rounds/index.js';

/** What came of a model. */
export interface CaseAnswer {
  /** `broken`: it ended otherwise than a model may. */
  readonly outcome: 'edited' | 'refused' | 'called editable, but refused' | 'broken';
  /** Why it was not edited. */
  readonly message?: string;
}

const [corpusPath] = process.argv.slice(2);

async function answerOf(path: string): Promise<CaseAnswer> {
  let directory = path;
  try {
    if (path.endsWith('.gguf')) {
      directory = path.replace('.gguf', '-imported');
      await importGguf(path, directory);
    }
    await modelDigest((await openModel(directory)).model);
  } catch (error) {
    return refusal('refused', error);
  }
  try {
    await edit(directory);
    return { outcome: 'edited' };
  } catch (error) {
    return refusal('called editable, but refused', error);
  }
}

async function edit(modelDirectory: string): Promise<void> {
  const settings = { layers: [0], steps: 2, contextTokens: 2 };
  const session = await openEditSession({
    store: new MemoryObjectStore(),
    modelId: 'case',
    modelDirectory,
    corpusPath,
    settings,
    criteria: null,
  });
  try {
    const batch = [{ subject: 'Ada', prompt: '{} lives in', targetNew: 'Rome' }];
    for await (const { version } of session.edit([batch])) {
      if (version === null) throw new PermanentError('edit: one that can be published, got one that was rejected');
      if (version !== 1) throw new Error(`version 1, got ${version}`);
    }
  } finally {
    await session.close();
  }
}

/** A refusal is one line of an error that trying again does not help. */
function refusal(outcome: CaseAnswer['outcome'], error: unknown): CaseAnswer {
  const { message, stack } = error as Error;
  if (error instanceof PermanentError && !message.includes('\n') && message.length < 2000) return { outcome, message };
  return { outcome: 'broken', message: (stack ?? String(error)).slice(0, 4000) };
}

for await (const path of createInterface({ input: process.stdin })) {
  const answer = await answerOf(path);
  rmSync(path.replace('.gguf', '-imported'), { recursive: true, force: true });
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
