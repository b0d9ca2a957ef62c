/** @file `POST /v1/completions`, answered in one piece or as a stream. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { type SSEStreamingApi, streamSSE } from 'hono/streaming';
import { InvalidInputError } from '../errors.js';
import type { Completion } from '../serving/index.js';
import type { Admission } from './admission.js';
import { beginChoices, type Choice } from './choice.js';
import { CompletionBodies } from './completion-bodies.js';
import { type CompletionCall, parseCompletionCall } from './completion-call.js';
import { errorBody, type RefusalStatus, refusal } from './refusal.js';
import type { RequestTrace, ServiceEnvironment } from './request-trace.js';
import type { RequestsUnderWay, RequestUnderWay } from './requests-under-way.js';
import { type Answering, type ServedModels, versionHeader } from './served-models.js';
import type { ServiceLimits } from './service-limits.js';
import type { ServiceMetrics } from './service-metrics.js';
import type { Turns } from './turns.js';

/** The parts of the service that answering completions needs. */
export interface CompletionParts {
  readonly models: ServedModels;
  readonly limits: ServiceLimits;
  readonly admission: Admission;
  readonly underWay: RequestsUnderWay;
  readonly metrics: ServiceMetrics;
  readonly turns: Turns;
}

/** A call that is being answered. */
interface Answer {
  readonly answering: Answering;
  readonly choices: readonly Choice[];
  readonly bodies: CompletionBodies;
  readonly request: RequestUnderWay;
  readonly trace: RequestTrace;
  readonly metrics: ServiceMetrics;
  /** Call this when nothing more is computed, so that waiting requests get their turn. */
  readonly exit: () => void;
}

export async function completions(parts: CompletionParts, context: Context<ServiceEnvironment>): Promise<Response> {
  const body = await context.req.text();
  if (body.length > shortBody) await parts.turns.next();
  const call = parseCompletionCall(body, parts.limits);
  parts.models.check(call.model);
  const trace = context.get('trace');
  const answer = await begin(parts, call, context.req.raw.signal, trace);
  context.header('x-hookline-version', versionHeader(answer.answering.version));
  if (!call.isStreamed) return context.json(await whole(answer));
  trace.isStreaming = true;
  return streamSSE(context, async (stream) => {
    stream.onAbort(() => answer.request.leave());
    trace.end(await streamed(answer, stream));
  });
}

/** In UTF-16 units: takes a millisecond to parse. */
const shortBody = 16_384;

/**
 * Waits for the request's turn, then for the first token of every choice. Waiting for the first tokens finds invalid
 * prompts while the answer can still have an error status.
 */
async function begin(
  { models, admission, underWay, metrics }: CompletionParts,
  call: CompletionCall,
  client: AbortSignal,
  trace: RequestTrace,
): Promise<Answer> {
  const request = underWay.begin(client);
  let exit: (() => void) | undefined;
  try {
    exit = await admission.enter(call.prompts.length * call.choicesPerPrompt, request.signal);
    const answering = await models.resolve(call.model);
    trace.model = answering.name;
    const choices = await beginChoices(models.edited, call, answering, request.signal);
    const bodies = new CompletionBodies(call, answering, models.edited.tokenizer);
    return { answering, choices, bodies, request, trace, metrics, exit };
  } catch (error) {
    request.abort(error);
    exit?.();
    request.end();
    // The prompt is the only part of the request that has not been checked before.
    if (error instanceof InvalidInputError) throw refusal(400, `prompt: ${error.message}`, { param: 'prompt' });
    throw error;
  }
}

async function whole({ answering, choices, bodies, request, trace, metrics, exit }: Answer): Promise<object> {
  try {
    const completed = await Promise.all(choices.map((choice) => finish(choice, request)));
    choices.forEach((choice, c) => {
      choice.count(metrics, answering.modelId, completed[c]);
    });
    const usage = bodies.usage(completed);
    trace.count(usage);
    return bodies.whole(choices, completed, usage);
  } catch (error) {
    request.abort(error);
    throw error;
  } finally {
    exit();
    request.end();
  }
}

/**
 * Writes the stream. Its status has already been sent, so an error is reported in the last event.
 * @returns the status for the log
 */
async function streamed(answer: Answer, stream: SSEStreamingApi): Promise<number> {
  const { choices, bodies, request, trace, exit } = answer;
  const send = (data: string) => stream.writeSSE({ data });
  // A client that does not read blocks the write, so a write also ends when the request times out.
  const write = (body: object) => Promise.race([send(JSON.stringify(body)), request.aborted]);
  try {
    const completed = await Promise.all(choices.map((choice) => streamChoice(answer, choice, write)));
    const usage = bodies.usage(completed);
    trace.count(usage);
    for (const chunk of bodies.usageChunks(usage)) await write(chunk);
    await Promise.race([send('[DONE]'), request.aborted]);
    exit();
    return 200;
  } catch (error) {
    request.abort(error);
    exit();
    if (!(error instanceof HTTPException)) trace.fail(error);
    const [status, message] = error instanceof HTTPException ? [error.status, error.message] : [500, internal(trace)];
    const told = send(JSON.stringify(errorBody(status as RefusalStatus, message)));
    await Promise.race([told, sleep(lastWordMilliseconds, undefined, { ref: false })]);
    return status;
  } finally {
    request.end();
  }
}

/** How long to wait for the client to read the last event, which says why its stream failed. */
const lastWordMilliseconds = 1000;

async function streamChoice(
  { answering, bodies, request, metrics }: Answer,
  choice: Choice,
  write: (body: object) => Promise<void>,
): Promise<Completion> {
  for (const chunk of bodies.echoChunks(choice)) await write(chunk);
  const completion = await finish(choice, request, (text) => write(bodies.textChunk(choice, text)));
  choice.count(metrics, answering.modelId, completion);
  await write(bodies.lastChunk(choice, completion));
  return completion;
}

async function finish(
  choice: Choice,
  { signal }: RequestUnderWay,
  onPiece?: (text: string) => Promise<void>,
): Promise<Completion> {
  const completion = await choice.finish(onPiece);
  if (completion.finishReason === 'aborted') throw signal.reason;
  return completion;
}

/** The message for an unexpected error. It shows only the request's id; the cause is in the log under that id. */
export const internal = ({ id }: RequestTrace): string => `service: an answer, got an internal error with id ${id}`;
