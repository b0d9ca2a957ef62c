import { type Edit, fillTemplate, type HookLayer } from '../editing/index.js';
import type { Tokenizer } from '../model/index.js';
import type { HookFiring, MeasuredModel } from '../serving/index.js';
import { type Answer, type Question, ScoreBook } from './score-book.js';

/**
 * Prompts for measuring same-subject locality of edits without `keep` prompts of their own. They differ from
 * `genericKeepPrompts`, so that the measure was not optimised.
 */
export const genericSubjectPrompts: readonly string[] = ['{} comes from', 'The name {} means', '{} is famous because'];

/** Measures of one edit. Shares lie in 0..1. */
export interface EditMeasurement {
  readonly id: string;
  /** Token-accuracy protocol: teacher-forced accuracy of the new target on the edit prompt. */
  readonly reliability: number;
  /** The same on each test paraphrase. */
  readonly generality: readonly number[];
  /** Teacher-forced accuracy of the target of each question that follows from the fact. */
  readonly portability: readonly number[];
  /** Agreement of the most probable tokens with the base model, per neighbourhood prompt. */
  readonly locality: readonly number[];
  /** The same per prompt about the edited subject itself. */
  readonly sameSubjectLocality: readonly number[];
  /** Probability protocol, if the old target is known: `nll(new) < nll(true)`. */
  readonly efficacy?: boolean;
  readonly paraphraseSuccess: readonly boolean[];
  /** `nll(true) < nll(new)` per neighbourhood prompt. */
  readonly neighborhoodSuccess: readonly boolean[];
  /** Mean negative log-probability of the new target on the edit prompt; null where it is no number. */
  readonly nll: number | null;
  /** Texts that the model does not take, so that it was measured without them; left out where there are none. */
  readonly leftOut?: readonly string[];
  /** Why the model does not take the edit's own prompt, so that nothing was measured; left out where it does. */
  readonly unmeasured?: string;
  /** The strongest gate opening on the edit prompt. */
  readonly firing?: HookFiring;
  /** The gate's strongest signal on each prompt; left out where nothing was measured. */
  readonly signals?: GateSignals;
}

/** The gate's strongest signal on prompts of each kind; NaN without a gate. */
export interface GateSignals {
  readonly edit: number;
  /** On each test paraphrase. */
  readonly paraphrase: readonly number[];
  readonly neighborhood: readonly number[];
}

/**
 * Measures edits by both protocols. Locality is always relative to the base model, never to an edited one.
 *
 * Token accuracy: EasyEdit's protocol, as in arXiv 2403.05330, section 4. Probabilities: CounterFact's, MEMIT section
 * 5, with nll normalised by length.
 */
export async function measureEdits(
  model: MeasuredModel,
  tokenizer: Tokenizer,
  edits: readonly Edit[],
  hooks: readonly HookLayer[],
  onProgress?: (done: number, total: number) => void,
): Promise<EditMeasurement[]> {
  const edited = new ScoreBook(tokenizer, model.limits);
  const base = new ScoreBook(tokenizer, model.limits);
  const pending = edits.map((edit) => askAbout(edit, edited, base));
  let asked = 0;
  await edited.answerWith((requests) => {
    asked = requests.length;
    return model.score(requests, hooks, onProgress);
  });
  await base.answerWith(
    (requests) => model.score(requests, undefined, (done, total) => onProgress?.(asked + done, asked + total)),
    edited,
  );
  return pending.map((answer) => answer());
}

/** Reliability alone, of many edits: one question each. An edit whose prompt the model does not take has none. */
export async function measureReliability(
  model: MeasuredModel,
  tokenizer: Tokenizer,
  edits: readonly Pick<Edit, 'subject' | 'prompt' | 'targetNew'>[],
  hooks: readonly HookLayer[],
  onProgress?: (done: number, total: number) => void,
): Promise<number[]> {
  const book = new ScoreBook(tokenizer, model.limits);
  const pending = edits.map(({ subject, prompt, targetNew }) => {
    const question = { prompt: fillTemplate(prompt, subject), continuation: targetNew };
    return book.problemOf(question) === undefined ? book.ask(question) : undefined;
  });
  await book.answerWith((requests) => model.score(requests, hooks, onProgress));
  return pending.map((answer) => (answer === undefined ? 0 : reliabilityOf(answer())));
}

/** Where the probabilities are no numbers, none of the target's tokens is said. */
const reliabilityOf = ({ nll, accuracy }: Answer): number => (Number.isFinite(nll) ? accuracy : 0);

function askAbout(edit: Edit, edited: ScoreBook, base: ScoreBook): () => EditMeasurement {
  const prompt = fillTemplate(edit.prompt, edit.subject);
  const { targetNew } = edit;
  const problem = edited.problemOf({ prompt, continuation: targetNew });
  if (problem !== undefined) return () => unmeasured(edit.id, `prompt with its target: ${problem}`);
  const leftOut: string[] = [];
  /** Whether the model takes a text with each of these continuations. */
  const isTaken = (what: string, text: string, ...continuations: readonly (string | undefined)[]) => {
    const problem = continuations
      .map((continuation) => edited.problemOf(questionOf(text, continuation)))
      .find((found) => found !== undefined);
    if (problem !== undefined) leftOut.push(`${what}: ${problem}`);
    return problem === undefined;
  };
  const written = edited.ask({ prompt, continuation: targetNew });
  const targetTrue =
    edit.targetTrue !== undefined && isTaken('targetTrue', prompt, edit.targetTrue) ? edit.targetTrue : undefined;
  const targets = targetTrue === undefined ? [targetNew] : [targetNew, targetTrue];
  const taken = (name: string, texts: readonly string[], ...continuations: readonly (string | undefined)[]) =>
    texts.filter((text, i) => isTaken(`${name}[${i}]`, text, ...continuations));
  const paraphraseTexts = taken('testParaphrases', edit.testParaphrases, ...targets);
  const neighborhoodTexts = taken(
    'neighborhood',
    edit.neighborhood,
    ...(targetTrue === undefined ? [undefined] : targets),
  );
  const subjectTexts = taken(edit.keep.length > 0 ? 'keep' : 'generic prompts', subjectPrompts(edit), undefined);
  const paraphrases = paraphraseTexts.map((text) => edited.ask({ prompt: text, continuation: targetNew }));
  const following = edit.portability
    .filter((question, i) => isTaken(`portability[${i}]`, question.prompt, question.target))
    .map((question) => edited.ask({ prompt: question.prompt, continuation: question.target }));
  const unchanged = (text: string, continuation?: string) => {
    const question = questionOf(text, continuation);
    return { edited: edited.ask(question), base: base.ask(question) };
  };
  const neighborhood = neighborhoodTexts.map((text) => unchanged(text, targetTrue));
  const sameSubject = subjectTexts.map((text) => unchanged(text));
  const rivals =
    targetTrue === undefined
      ? undefined
      : {
          prompt: edited.ask({ prompt, continuation: targetTrue }),
          paraphrases: paraphraseTexts.map((text) => edited.ask({ prompt: text, continuation: targetTrue })),
          neighborhood: neighborhoodTexts.map((text) => edited.ask({ prompt: text, continuation: targetNew })),
        };
  return () => {
    const firing = strongest(written());
    const { nll } = written();
    return {
      id: edit.id,
      reliability: reliabilityOf(written()),
      nll: Number.isFinite(nll) ? nll : null,
      generality: paraphrases.map((answer) => answer().accuracy),
      portability: following.map((answer) => answer().accuracy),
      locality: neighborhood.map((pair) => agreement(pair.edited(), pair.base())),
      sameSubjectLocality: sameSubject.map((pair) => agreement(pair.edited(), pair.base())),
      ...(rivals && { efficacy: nll < rivals.prompt().nll }),
      paraphraseSuccess: rivals?.paraphrases.map((rival, i) => paraphrases[i]().nll < rival().nll) ?? [],
      neighborhoodSuccess: rivals?.neighborhood.map((rival, i) => neighborhood[i].edited().nll < rival().nll) ?? [],
      ...(firing && { firing }),
      signals: {
        edit: written().strength,
        paraphrase: paraphrases.map((answer) => answer().strength),
        neighborhood: neighborhood.map((pair) => pair.edited().strength),
      },
      ...(leftOut.length > 0 && { leftOut }),
    };
  };
}

function unmeasured(id: string, problem: string): EditMeasurement {
  const nothing = {
    generality: [],
    portability: [],
    locality: [],
    sameSubjectLocality: [],
    paraphraseSuccess: [],
    neighborhoodSuccess: [],
  };
  return { id, reliability: 0, nll: null, ...nothing, unmeasured: problem };
}

const questionOf = (prompt: string, continuation: string | undefined): Question => ({
  prompt,
  ...(continuation !== undefined && { continuation }),
});

/** Filled prompts about the edited subject itself. */
export function subjectPrompts(edit: Edit): string[] {
  const templates = edit.keep.length > 0 ? edit.keep : genericSubjectPrompts;
  return templates.map((template) => fillTemplate(template, edit.subject));
}

function agreement(edited: Answer, base: Answer): number {
  return edited.argMaxIds.filter((id, t) => id === base.argMaxIds[t]).length / edited.argMaxIds.length;
}

function strongest({ firings, promptTokens }: Answer): HookFiring | undefined {
  const onPrompt = firings.filter((firing) => firing.tokenIndex < promptTokens);
  return onPrompt.reduce<HookFiring | undefined>(
    (best, firing) => (best === undefined || firing.strength > best.strength ? firing : best),
    undefined,
  );
}
