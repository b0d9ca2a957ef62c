import { continuationOf, type ModelLimits, misfitOf } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import type { Tokenizer } from '../model/index.js';
import type { MeasuredModel, Score, ScoreRequest } from '../serving/index.js';
import { printable } from './decode-line.js';

/** A prompt with the continuation whose tokens are scored. Without one, only the most probable next token is read. */
export interface Question {
  readonly prompt: string;
  readonly continuation?: string;
}

/** How a model answered a question, teacher-forced. */
export interface Answer {
  /** Mean negative log-probability of the continuation's tokens; NaN without a continuation. */
  readonly nll: number;
  /** Share of the continuation's tokens that are the most probable ones; NaN without a continuation. */
  readonly accuracy: number;
  /** The most probable token at each place. */
  readonly argMaxIds: readonly number[];
  readonly firings: Score['firings'];
  /** The gate's strongest signal on the prompt; NaN without a gate. */
  readonly strength: number;
  /** Whether the base model answers the same, because no gate opened. */
  readonly isBase: boolean;
  /** Tokens of the prompt alone. */
  readonly promptTokens: number;
}

/** A question in tokens; open if only the most probable next token is wanted. */
type AskedRequest = ScoreRequest & { readonly open: boolean };

/** Collects questions, scores each distinct one once, and hands out the answers. */
export class ScoreBook {
  readonly #indices = new Map<string, number>();
  readonly #requests: AskedRequest[] = [];
  readonly #prepared = new Map<string, AskedRequest>();
  #answers: readonly Answer[] = [];
  readonly #tokenizer: Tokenizer;
  readonly #limits: ModelLimits;

  constructor(tokenizer: Tokenizer, limits: ModelLimits) {
    this.#tokenizer = tokenizer;
    this.#limits = limits;
  }

  /** Why a question cannot be asked: what is required of its tokens, and what it has. Undefined if it can be. */
  problemOf(question: Question): string | undefined {
    try {
      const { tokenIds, scoredFrom } = this.#request(question);
      if (scoredFrom === 0 || scoredFrom === tokenIds.length) return 'at least one token, got none';
      const misfit = misfitOf(tokenIds, this.#limits);
      return misfit && `${misfit.requirement}, got ${misfit.got}`;
    } catch (error) {
      if (error instanceof InvalidInputError) return printable(error.message);
      throw error;
    }
  }

  /** Notes a question. The returned function gives its answer after {@link answerWith}. */
  ask(question: Question): () => Answer {
    const key = keyOf(question);
    let index = this.#indices.get(key);
    if (index === undefined) {
      index = this.#requests.push(this.#request(question)) - 1;
      this.#indices.set(key, index);
    }
    const known = index;
    return () => this.#answers[known];
  }

  /**
   * Scores all questions on a model.
   *
   * @param edited the same questions, answered by an edited model of it: they are not asked again where no gate opened
   */
  async answerWith(
    score: (requests: readonly ScoreRequest[]) => ReturnType<MeasuredModel['score']>,
    edited?: ScoreBook,
  ): Promise<void> {
    const known = [...this.#indices.keys()].map((key) => (edited === undefined ? undefined : edited.#baseAnswer(key)));
    const scores = await score(this.#requests.filter((_, i) => known[i] === undefined));
    let next = 0;
    this.#answers = known.map((answer, i) => answer ?? answerOf(this.#requests[i], scores[next++]));
  }

  #baseAnswer(key: string): Answer | undefined {
    const answer = this.#answers[this.#indices.get(key) ?? -1];
    return answer?.isBase ? answer : undefined;
  }

  #request(question: Question): AskedRequest {
    const key = keyOf(question);
    const known = this.#prepared.get(key);
    if (known !== undefined) return known;
    const { prompt, continuation } = question;
    const { ids } = this.#tokenizer.encode(prompt);
    // Scoring needs a token to score. An arbitrary one is used if only the most probable next token is wanted.
    const continued =
      continuation === undefined
        ? [ids[ids.length - 1]]
        : this.#tokenizer.encodePlain(continuationOf(prompt, continuation)).ids;
    const request = { tokenIds: [...ids, ...continued], scoredFrom: ids.length, open: continuation === undefined };
    this.#prepared.set(key, request);
    return request;
  }
}

const keyOf = ({ prompt, continuation }: Question): string => JSON.stringify([prompt, continuation]);

function answerOf(request: AskedRequest, score: Score): Answer {
  const targets = request.tokenIds.slice(request.scoredFrom);
  const hits = score.argMaxIds.filter((id, t) => id === targets[t]).length;
  const nll = -score.logProbabilities.reduce((sum, value) => sum + value, 0) / targets.length;
  return {
    nll: request.open ? Number.NaN : nll,
    accuracy: request.open ? Number.NaN : hits / targets.length,
    argMaxIds: score.argMaxIds,
    firings: score.firings,
    strength: score.strengths.subarray(0, request.scoredFrom).reduce((a, b) => Math.max(a, b)),
    isBase: score.isBase,
    promptTokens: request.scoredFrom,
  };
}
