/** @file Subjects with their texts as the method sees them, without a model that continues texts. */
import {
  bareContext,
  type Context,
  type Edit,
  fillTemplate,
  type KeptText,
  markSubject,
  type TokenizedSubject,
  tokenizeFact,
  tokenizeForm,
  tokenizeMarked,
} from '../../src/editing/index.js';
import type { Tokenizer } from '../../src/model/index.js';

/** Openings for edits without keep prompts of their own. */
const openings = ['{} was', '{} is known for', 'People say that {}'];

/** What stands in place of what a model would say. */
const continuation =
  ' a name that many people knew and often spoke of when they met in the evening, wherever they were';

/** In which texts a subject is written and kept. */
export interface SubjectTexts {
  /** The bare one first. */
  readonly contexts: readonly Context[];
  /** Tokens behind each kept opening; 12 unless said otherwise. With 0 only what follows the opening is kept. */
  readonly keptTokens?: number;
}

/** Texts of these templates, the bare one first. */
export const textContexts = (...prefixed: readonly string[]): Context[] => [
  bareContext,
  ...prefixed.map((template): Context => ({ template, role: 'text' })),
];

/**
 * A subject of these facts, whose id is that of the first one. It keeps the distribution from its name on in each opening; its
 * forms are its prompts in all contexts, up to the name.
 */
export function subjectOf(
  tokenizer: Tokenizer,
  edits: readonly Edit[],
  { contexts, keptTokens = 12 }: SubjectTexts,
): TokenizedSubject {
  const [{ id, subject }] = edits;
  const names = [subject];
  const essence = tokenizeForm(tokenizer, '{} is a', subject);
  const own = edits.flatMap(({ keep }) => keep);
  const said = tokenizer.encodePlain(continuation).ids.slice(0, keptTokens);
  const forms = edits.flatMap(({ prompt }) =>
    contexts.map(({ template }) => tokenizeForm(tokenizer, fillTemplate(template, prompt), subject)),
  );
  return {
    id,
    facts: edits.map((edit) => tokenizeFact(tokenizer, edit, contexts, names)),
    essence: { ...essence, lookups: [essence.tokenIds.length - 1] },
    kept: (own.length > 0 ? own : openings).map((template): KeptText => {
      const { tokenIds, lookups } = tokenizeMarked(tokenizer, markSubject(template, subject), names);
      const whole = [...tokenIds, ...said];
      const first = keptTokens === 0 ? whole.length - 1 : lookups[0];
      const positions = Array.from({ length: whole.length - first }, (_, i) => first + i);
      return { tokenIds: whole, lookups, positions };
    }),
    forms: [...new Map(forms.map((form) => [form.tokenIds.join(), form])).values()],
  };
}
