import type { TokenizedSubject } from '../../src/editing/index.js';
import type { EditShape } from '../../src/estimate/edit-shape.js';
import { estimateDefaults } from '../../src/estimate/estimate-request.js';

/** What of {@link EditShape} the texts do not say. */
export interface KnownSizes {
  /** Tokens behind each kept opening. */
  readonly keptTokens: number;
  /** Rows that the forms of all subjects are gathered into, if it is known. */
  readonly rows?: number;
}

/**
 * The mean sizes of these subjects of one fact and one phrasing each, as a plan takes them; what validation asks is not known of
 * tokens.
 */
export function meanShape(subjects: readonly TokenizedSubject[], { keptTokens, rows }: KnownSizes): EditShape {
  const texts = subjects.map(({ facts: [{ texts }] }) => texts);
  const bare = texts.map(([first]) => first);
  const prefixed = texts.flatMap(([first, ...others]) => others.map((t) => t.promptTokens - first.promptTokens));
  const kept = subjects.flatMap((subject) => subject.kept);
  const forms = subjects.flatMap((subject) => subject.forms);
  const sequences = [...texts.flat(), ...kept];
  const suffixes = [...sequences.map((t) => t.tokenIds.length - t.lookups[0]), ...subjects.map(() => 1)];
  const lengths = sequences.map(({ tokenIds }) => tokenIds.length);
  return {
    ...estimateDefaults.shape,
    phrasings: 1,
    templates: texts[0].length,
    promptTokens: mean(bare.map(({ promptTokens }) => promptTokens)),
    lookupIndex: mean(bare.map(({ lookups }) => lookups[0])),
    prefixTokens: mean(prefixed),
    targetTokens: mean(bare.map(({ tokenIds, promptTokens }) => tokenIds.length - promptTokens)),
    subjectLookupIndex: mean(subjects.map(({ essence }) => essence.lookups[0])),
    keptTexts: kept.length / subjects.length,
    openingTokens: mean(kept.map(({ tokenIds }) => tokenIds.length - keptTokens)),
    openingLookupIndex: mean(kept.map(({ lookups }) => lookups[0])),
    forms: forms.length / subjects.length,
    formTokens: mean(forms.map(({ tokenIds }) => tokenIds.length)),
    rows: rows === undefined ? estimateDefaults.shape.rows : rows / subjects.length,
    longestOverMean: Math.max(...lengths) / mean(lengths),
    longestSuffixOverMean: Math.max(...suffixes) / mean(suffixes),
  };
}

const mean = (numbers: readonly number[]): number =>
  numbers.length === 0 ? 0 : numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
