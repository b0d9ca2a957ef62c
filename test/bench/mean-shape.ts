import type {} from '../../src/editing/index.js';
import type { TokenizedEdit } from '../../src/editing/prompts.js';
import type { EditShape } from '../../src/estimate/edit-shape.js';
import { estimateDefaults } from '../../src/estimate/estimate-request.js';

/** The mean sizes of these edits, as a plan takes them; what validation asks is not known of tokenized edits. */
export function meanShape(edits: readonly TokenizedEdit[]): EditShape {
  const bare = edits.map(({ prompts }) => prompts[0]);
  const prefixed = edits.flatMap(({ prompts }) =>
    prompts.slice(1).map((p) => p.tokenIds.length - prompts[0].tokenIds.length),
  );
  const keep = edits.flatMap((edit) => edit.keep);
  const lengths = edits.flatMap(({ prompts }) => prompts.map(({ tokenIds }) => tokenIds.length));
  const suffixes = edits.flatMap((edit) => [
    ...edit.prompts.map((p) => p.tokenIds.length + edit.targetIds.length - 1 - p.lookupIndex),
    1,
    ...edit.keep.map((p) => p.tokenIds.length - p.lookupIndex),
  ]);
  return {
    ...estimateDefaults.shape,
    templates: edits[0].prompts.length,
    promptTokens: mean(bare.map(({ tokenIds }) => tokenIds.length)),
    lookupIndex: mean(bare.map(({ lookupIndex }) => lookupIndex)),
    prefixTokens: mean(prefixed),
    targetTokens: mean(edits.map(({ targetIds }) => targetIds.length)),
    subjectLookupIndex: mean(edits.map(({ subjectPrompt }) => subjectPrompt.lookupIndex)),
    keepPrompts: keep.length / edits.length,
    keepTokens: mean(keep.map(({ tokenIds }) => tokenIds.length)),
    keepLookupIndex: mean(keep.map(({ lookupIndex }) => lookupIndex)),
    longestOverMean: Math.max(...lengths) / mean(lengths),
    longestSuffixOverMean: Math.max(...suffixes) / mean(suffixes),
  };
}

const mean = (numbers: readonly number[]): number =>
  numbers.length === 0 ? 0 : numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
