/** @file Which edits fired in a completion, and where in its texts. */
import type { Tokenizer } from '../model/index.js';
import type { ManifestEdit } from '../registry/index.js';
import type { Completion, Firing } from '../serving/index.js';
import type { Answering } from './served-models.js';

/** One firing: an edit's gate opened at a token. */
export interface ExplainedFiring {
  readonly edit: string | null;
  readonly token: string;
  readonly tokenIndex: number;
  readonly layer: number;
  readonly strength: number | null;
  /** Which text the token is in: the request's prompt, or the completion (which excludes the prompt). */
  readonly text: 'prompt' | 'completion';
  /** The token's position in that text: [start, end) in UTF-16 code units. */
  readonly start: number;
  readonly end: number;
}

/** The explanation of one choice, for requests with `hookline: { explain: true }`. */
export interface Explanation {
  /** Null for the base model. */
  readonly version: number | null;
  readonly firings: readonly ExplainedFiring[];
  /** The edits that fired. */
  readonly edits: readonly Pick<ManifestEdit, 'id' | 'subject' | 'prompt' | 'targetNew' | 'version'>[];
}

export function explanationOf(
  tokenizer: Tokenizer,
  prompt: string | readonly number[],
  completion: Completion,
  { version }: Answering,
): Explanation {
  const firings = completion.firings.map((firing) => firingOf(tokenizer, prompt, completion, firing));
  const fired = new Set(firings.map(({ edit }) => edit));
  const active = version === 'base' ? [] : version.manifest.edits.filter(({ status }) => status === 'active');
  const edits = active
    .filter(({ id }) => fired.has(id))
    .map(({ id, subject, prompt: template, targetNew, version: from }) => ({
      id,
      subject,
      prompt: template,
      targetNew,
      version: from,
    }));
  return { version: completion.version, firings, edits };
}

function firingOf(
  tokenizer: Tokenizer,
  prompt: string | readonly number[],
  { promptTokens, tokenIds, text }: Completion,
  { editId, token, tokenIndex, layer, strength }: Firing,
): ExplainedFiring {
  const what = { edit: editId, token, tokenIndex, layer, strength };
  if (tokenIndex < promptTokens) {
    const [start, end] =
      typeof prompt === 'string' ? tokenizer.encode(prompt).spans[tokenIndex] : spanOf(tokenizer, prompt, tokenIndex);
    return { ...what, text: 'prompt', start, end };
  }
  const [start, end] = spanOf(tokenizer, tokenIds, tokenIndex - promptTokens);
  // A stop text may have cut the completion before this token ends.
  return { ...what, text: 'completion', start: Math.min(start, text.length), end: Math.min(end, text.length) };
}

function spanOf(tokenizer: Tokenizer, tokenIds: readonly number[], tokenIndex: number): readonly [number, number] {
  const lengthOf = (count: number) => tokenizer.decode(tokenIds.slice(0, count)).length;
  return [lengthOf(tokenIndex), lengthOf(tokenIndex + 1)];
}
