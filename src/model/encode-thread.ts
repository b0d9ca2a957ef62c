/** @file A thread that turns texts into tokens, one after the other: see `PromptEncoder`. */
import { parentPort, workerData } from 'node:worker_threads';
import { InvalidInputError } from '../errors.js';
import type { EncodeAnswer, EncodeRequest } from './prompt-encoder.js';
import { loadTokenizer, type Tokenizer } from './tokenizer.js';

let tokenizer: Promise<Tokenizer> | undefined;

async function answerTo({ text, maxTokens }: EncodeRequest): Promise<EncodeAnswer> {
  tokenizer ??= loadTokenizer(workerData as string);
  try {
    const { ids, spans } = (await tokenizer).encode(text);
    if (ids.length > maxTokens) return { tokens: ids.length };
    return { tokens: ids.length, ids: Uint32Array.from(ids), spans: Uint32Array.from(spans.flat()) };
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    const { what, requirement, got } = error;
    return { invalid: [what, requirement, got] };
  }
}

parentPort?.on('message', (request: EncodeRequest) => {
  void answerTo(request).then((answer) => parentPort?.postMessage(answer));
});
