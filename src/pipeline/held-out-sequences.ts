import { readParagraphs } from '../evaluation/index.js';
import type { Tokenizer } from '../model/index.js';

const sequenceTokens = 128;
const shortestTokens = 8;

/** Token sequences of a held-out text, at most `maxTokens` in all; none without a file. */
export async function heldOutSequences(
  path: string | undefined,
  tokenizer: Tokenizer,
  maxTokens = 8_192,
): Promise<(readonly number[])[]> {
  if (path === undefined) return [];
  const sequences: (readonly number[])[] = [];
  let tokens = 0;
  for await (const paragraph of readParagraphs(path)) {
    const ids = tokenizer.encode(paragraph).ids.slice(0, sequenceTokens);
    if (ids.length < shortestTokens) continue;
    sequences.push(ids);
    tokens += ids.length;
    if (tokens >= maxTokens) break;
  }
  return sequences;
}
