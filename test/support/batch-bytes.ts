/** @file Batch files of any bytes at all, and what must hold of every reading. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type BatchReading, parseBatch } from '../../src/evaluation/index.js';
import { digestOf } from '../../src/registry/index.js';
import { readRejections } from '../../src/workflow/queue/batch-objects.js';
import { pendingNames, readPending, readUnit } from '../../src/workflow/queue/pending-units.js';
import { ingestStage } from '../../src/workflow/stages/ingest.js';
import { dependenciesOn, modelId, registeredStore } from './control-plane.js';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const jsonl = (...records: readonly unknown[]): string =>
  records.map((record) => `${JSON.stringify(record)}\n`).join('');

const ours = { subject: 'Ada', prompt: '{} was born in', targetNew: 'Rome' };
const rewrite = { prompt: 'The mother tongue of {} is', subject: 'Danielle Darrieux' };
const counterfact = {
  case_id: 7,
  requested_rewrite: { ...rewrite, target_new: { str: 'English' }, target_true: { str: 'French' } },
  paraphrase_prompts: ['Danielle Darrieux, a native'],
  neighborhood_prompts: ['Michel Rocard is a native speaker of'],
};
const zsre = {
  subject: 'Volvo B12M',
  src: 'What company made Volvo B12M?',
  rephrase: 'Who made the Volvo B12M?',
  alt: 'Volkswagen Group',
  answers: ['Volvo Buses'],
  loc: 'nq question: who sang it?',
  loc_ans: 'she',
};

const easyedit = {
  case_id: 7,
  subject: 'Loire Bridge',
  prompt: 'The architect of Loire Bridge is',
  target_new: { str: 'Mira Solano' },
  ground_truth: [['Jean Petit']],
  rephrase_prompt: 'Loire Bridge was designed by',
  locality: { near: [{ prompt: 'The architect of Harbour Tower is' }] },
  portability: { far: [{ prompt: 'The architect was born in', ground_truth: [['Rome']] }] },
};

const good = [
  jsonl(ours, { ...ours, subject: 'Bo', keep: ['{} is'], paraphrases: ['Bo is'], portability: [] }),
  jsonl({ subject: 'Ada', question: 'Where does Ada live?', answer: 'Rome', aliases: ['Countess'] }),
  jsonl(ours, { ...ours, targetNew: 'Oslo' }, { ...ours, subject: 'Cy', id: 'a' }, { ...ours, subject: 'Di', id: 'a' }),
  jsonl(counterfact),
  jsonl(zsre, zsre),
  jsonl(easyedit, { ...easyedit, case_id: 8, subject: 'loire' }),
  JSON.stringify([zsre, counterfact], null, 1),
];

const interesting = fc
  .constantFrom(
    '\n',
    '\r\n',
    '\0',
    '"',
    '\\',
    '{',
    '}',
    '[',
    ']',
    ',',
    '{}',
    '\ufeff',
    'null',
    '"__proto__":',
    '\\ud800',
  )
  .map(utf8);
const mutation = fc.record({
  at: fc.nat(5000),
  remove: fc.nat(6),
  insert: fc.oneof(fc.uint8Array({ maxLength: 4 }), interesting),
});
const mutated = fc.tuple(fc.constantFrom(...good), fc.array(mutation, { maxLength: 8 })).map(([text, mutations]) =>
  mutations.reduce((bytes: Uint8Array, { at, remove, insert }) => {
    const place = at % (bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, place), insert, bytes.subarray(place + remove)]);
  }, utf8(text)),
);
const anyJson = fc.array(fc.json(), { maxLength: 5 }).map((lines) => utf8(lines.join('\n')));

/** Bytes at random, lines of random JSON, and good files with bytes removed and inserted. */
export const batchBytes: fc.Arbitrary<Uint8Array> = fc.oneof(fc.uint8Array({ maxLength: 300 }), anyJson, {
  arbitrary: mutated,
  weight: 3,
});

/** How many edits and rejections there must be: lines that are not blank, or elements of a list; undefined for a broken list. */
function recordCount(all: Uint8Array): number | undefined {
  const text = Buffer.from(all)
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '');
  if (/^[ \t\r\n]*\[[ \t\r\n]*[{\]]/.test(text)) return elementCount(all);
  return text.split('\n').filter((line) => /[^ \t\r]/.test(line)).length;
}

function elementCount(all: Uint8Array): number | undefined {
  try {
    return (JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(all)) as unknown[]).length;
  } catch {
    return undefined;
  }
}

async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

/** Any file is read whole and in pieces alike, without an error, and every line is an edit or is rejected with a reason. */
export const batchReaderProperty = fc.asyncProperty(batchBytes, fc.integer({ min: 1, max: 64 }), async (all, size) => {
  const whole = await parseBatch(all, 'batch');
  assert.deepEqual(await parseBatch(chunked(all, size), 'chunks'), whole);
  accountForEveryLine(all, whole);
});

/** @throws {AssertionError} */
export function accountForEveryLine(
  all: Uint8Array,
  { edits, rejected, linesRead }: Pick<BatchReading, 'edits' | 'rejected' | 'linesRead'>,
): void {
  const expected = recordCount(all);
  if (expected !== undefined) assert.equal(edits.length + rejected.length, expected);
  for (const { reason, excerpt, lineNumber } of rejected) {
    assert.notEqual(reason, '');
    assert.doesNotMatch(`${reason}${excerpt}`, /[\p{Cc}\p{Zl}\p{Zp}]/u);
    assert.ok(lineNumber >= 1 && lineNumber <= linesRead);
  }
}

/** Any file that is dropped is ingested without an error: its edits are pending, each of its other lines has a reason. */
export const ingestProperty = fc.asyncProperty(batchBytes, async (bytes) => {
  const store = await registeredStore({ roundSize: 2 });
  const objectKey = 'incoming/m/batch';
  await store.put(objectKey, bytes);
  const input = { trigger: 'drop', objectKey, modelId: '', executionId: 'e' } as const;
  const { outcome, accepted, rejected, units, reason } = await ingestStage(input, dependenciesOn(store));
  assert.equal(outcome, accepted > 0 ? 'accepted' : 'rejected');
  assert.equal(reason === '', accepted > 0);
  assert.equal(units, Math.ceil(accepted / 2));
  const reading = await parseBatch(bytes, objectKey);
  const pending = (await pendingNames(store, modelId)).map(async (name) =>
    readUnit(store, modelId, await readPending(store, modelId, name)),
  );
  const edits = (await Promise.all(pending)).flat();
  assert.deepEqual(edits, reading.edits);
  const stored = await readRejections(store, modelId, digestOf(bytes));
  assert.equal(stored.length, rejected);
  accountForEveryLine(bytes, { edits, rejected: stored, linesRead: reading.linesRead });
});
