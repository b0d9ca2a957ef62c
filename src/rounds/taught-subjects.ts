/** @file Subjects as the method sees them: what is taught, what is kept, and in which forms a subject occurs. */
import {
  bareContext,
  type Context,
  fillTemplate,
  type KeptText,
  markSubject,
  misfitOf,
  type TokenizedSubject,
  tokenizeFact,
  tokenizeForm,
  tokenizeMarked,
} from '../editing/index.js';
import { decodeKnown } from '../evaluation/index.js';
import { factsOf, type Subject } from './subjects.js';
import type { Workbench } from './workbench.js';

/** Openings behind which the base model goes on about a subject, where nothing asks for one of its facts. */
const plainOpenings = ['{} is', 'People say that {}', 'Yesterday I read about {}, and', 'The history of {}'];
const chatOpenings = ['Tell me about {}.', 'What is {} known for?', 'Write a short poem about {}.', 'Describe {}.'];

/** Texts beside a fact's own in which a subject occurs. */
const plainForms = ['"{}', 'He said that "{}', 'Everybody knows {}'];
const chatForms = ['{}', 'Tell me about {}'];

/** What subjects are written with. */
type Bench = Pick<Workbench, 'tokenizer' | 'model' | 'settings' | 'edited'>;

/** Subjects with all their texts. The base model, without hooks, says what is to be kept of it. */
export async function taughtSubjects(
  bench: Bench,
  subjects: readonly Subject[],
  contexts: readonly Context[],
): Promise<TokenizedSubject[]> {
  const kept = await keptTexts(bench, subjects);
  return subjects.map((subject, s) => ({ ...writtenSubject(bench, subject, contexts), kept: kept[s] }));
}

/** The same without what is to be kept: what is needed for writing. */
export function writtenSubject(
  { tokenizer, model, settings }: Pick<Bench, 'tokenizer' | 'model' | 'settings'>,
  subject: Subject,
  contexts: readonly Context[],
): Omit<TokenizedSubject, 'kept'> {
  const { id, names } = subject;
  const facts = factsOf(subject);
  const essence = tokenizeForm(tokenizer, bareContext.template, names[0]);
  return {
    id,
    facts: facts.map((edit) => tokenizeFact(tokenizer, edit, contexts, names, model.config)),
    essence: { ...essence, lookups: [essence.tokenIds.length - 1] },
    forms: formsOf({ tokenizer, model, settings }, subject, contexts),
  };
}

/** A subject's own phrasings in all contexts first, then every name in general texts, then its names in lower case. */
function formsOf(
  { tokenizer, model, settings }: Pick<Bench, 'tokenizer' | 'model' | 'settings'>,
  subject: Subject,
  contexts: readonly Context[],
): TokenizedSubject['forms'] {
  const asked = askedBy({ tokenizer, settings });
  const general = [
    ...contexts.filter(({ role }) => role === 'text').map(({ template }) => template),
    ...plainForms,
    ...chatForms.flatMap(asked),
    ...asked('Go on.').map((template) => `${template}{}`),
  ];
  const own = factsOf(subject).flatMap(({ subject: name, prompt, paraphrases }) =>
    [prompt, ...paraphrases].flatMap((phrasing) =>
      contexts.map(({ template }) => ({ template: fillTemplate(template, phrasing), name })),
    ),
  );
  const lower = subject.names.map((name) => name.toLowerCase()).filter((name) => !subject.names.includes(name));
  const named = [...subject.names, ...lower].flatMap((name) => general.map((template) => ({ template, name })));
  const forms = [...own, ...named].map(({ template, name }) => tokenizeForm(tokenizer, template, name));
  const unique = new Map(forms.map((form) => [form.tokenIds.join(), form]));
  return [...unique.values()].filter(({ tokenIds }) => misfitOf(tokenIds, model.config) === undefined);
}

/** A question as the chat template asks it; none without a template. */
const askedBy =
  ({ tokenizer: { chat }, settings }: Pick<Bench, 'tokenizer' | 'settings'>) =>
  (content: string): string[] =>
    chat && settings.chatContexts ? [chat.render([{ role: 'user', content }])] : [];

/**
 * What is to be kept of each subject: the answers to its facts' own keep prompts, and everything that the base model says behind
 * general openings.
 */
async function keptTexts(bench: Bench, subjects: readonly Subject[]): Promise<KeptText[][]> {
  const asked = askedBy(bench);
  const general = [...plainOpenings, ...chatOpenings.flatMap(asked)];
  const ownOf = (subject: Subject) => [...new Set(factsOf(subject).flatMap(({ keep }) => keep))];
  const answers = subjects.map((subject) =>
    textsOf(bench, subject, ownOf(subject)).map((text) => ({ ...text, positions: [text.tokenIds.length - 1] })),
  );
  const openings = subjects.flatMap((subject, s) => {
    const others = general.filter((template) => !ownOf(subject).includes(template));
    return textsOf(bench, subject, others).map((opening) => ({ ...opening, subject, s }));
  });
  const continuations = await continuationsOf(
    bench,
    openings.map(({ tokenIds }) => tokenIds),
  );
  openings.forEach(({ marked, subject, s }, i) => {
    const text = marked.text + decodeKnown(bench.tokenizer, continuations[i]);
    const whole = tokenizeMarked(bench.tokenizer, { ...marked, text }, subject.names);
    // A text may have more tokens than were generated, if they are not those that the tokenizer makes of it.
    if (misfitOf(whole.tokenIds, bench.model.config) !== undefined) return;
    const [first] = bench.settings.keptTokens === 0 ? [whole.tokenIds.length - 1] : whole.lookups;
    const positions = Array.from({ length: whole.tokenIds.length - first }, (_, p) => first + p);
    answers[s].push({ ...whole, marked, positions });
  });
  return answers;
}

/** Templates with a subject that the model takes. */
function textsOf({ tokenizer, model }: Bench, { names }: Subject, templates: readonly string[]) {
  return templates.flatMap((template) => {
    const marked = markSubject(template, names[0]);
    const text = tokenizeMarked(tokenizer, marked, names);
    return misfitOf(text.tokenIds, model.config) === undefined ? [{ ...text, marked }] : [];
  });
}

async function continuationsOf(
  bench: Bench,
  prompts: readonly (readonly number[])[],
): Promise<readonly (readonly number[])[]> {
  const { keptTokens } = bench.settings;
  if (keptTokens === 0) return prompts.map(() => []);
  const edited = await bench.edited();
  const generated = await edited.generate(prompts, { maxTokens: keptTokens, stopIds: bench.tokenizer.eosIds });
  return generated.map(({ tokenIds }) => tokenIds);
}
