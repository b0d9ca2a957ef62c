/** @file Whose edits fired in a completion, and where in its texts. */
import type { Tokenizer } from '../model/index.js';
import type { ManifestEdit } from '../registry/index.js';
import { activeEditsOf, type Completion, type Firing } from '../serving/index.js';
import type { PromptTokens } from './choice.js';
import type { Answering } from './served-models.js';

/** One firing, and where its token is. */
export interface ExplainedFiring extends Firing {
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
  /** All edits of the subjects that fired. */
  readonly edits: readonly Pick<ManifestEdit, 'id' | 'subject' | 'prompt' | 'targetNew' | 'version'>[];
}

export function explanationOf(
  tokenizer: Tokenizer,
  prompt: PromptTokens,
  completion: Completion,
  { version }: Answering,
): Explanation {
  const place = placesOf(tokenizer, prompt, completion);
  const firings = completion.firings.map((firing) => ({ ...firing, ...place(firing.tokenIndex) }));
  const fired = new Set(firings.flatMap(({ editIds }) => editIds));
  const active = version === 'base' ? [] : activeEditsOf(version.manifest);
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

/** Says where each token of prompt and completion is. */
function placesOf(
  tokenizer: Tokenizer,
  prompt: PromptTokens,
  { promptTokens, tokenIds, text }: Completion,
): (tokenIndex: number) => Pick<ExplainedFiring, 'text' | 'start' | 'end'> {
  const promptSpans = prompt.spans ?? tokenizer.decodedSpans(prompt.ids);
  const spans = tokenizer.decodedSpans(tokenIds);
  return (tokenIndex) => {
    if (tokenIndex < promptTokens) {
      const [start, end] = promptSpans[tokenIndex];
      return { text: 'prompt', start, end };
    }
    const [start, end] = spans[tokenIndex - promptTokens];
    // A stop text may have cut the completion before this token ends.
    return { text: 'completion', start: Math.min(start, text.length), end: Math.min(end, text.length) };
  };
}
