/** @file A service that is asked without a network, and what it answers. */
import { Service, type ServiceEvent, type ServiceOptions } from '../../../src/server/index.js';
import { until } from '../../support/patience.js';

/** What a completion's choice says. */
interface AnsweredChoice {
  readonly text: string;
  readonly index: number;
  readonly finish_reason: string | null;
  readonly hookline?: {
    readonly version: number | null;
    readonly firings: readonly {
      readonly subject: string;
      readonly editIds: readonly string[];
      readonly text: string;
      readonly start: number;
      readonly end: number;
    }[];
    readonly edits: readonly { readonly id: string; readonly targetNew: string }[];
  };
}

/** A completion, or one chunk of it. */
export interface Answered {
  readonly model: string;
  readonly object: string;
  readonly choices: readonly AnsweredChoice[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly total_tokens: number;
  };
}

/** A service whose log is kept. */
export class AskedService {
  readonly events: ServiceEvent[] = [];
  readonly service: Service;

  constructor(options: Omit<ServiceOptions, 'log'>) {
    this.service = new Service({ intervalSeconds: 0.05, ...options, log: (event) => this.events.push(event) });
  }

  /** One that watches its versions and has found the first. */
  static async ready(options: Omit<ServiceOptions, 'log'>): Promise<AskedService> {
    const asked = new AskedService(options);
    asked.service.watch();
    await asked.until(async () => (await asked.get('/readyz')).ok);
    return asked;
  }

  async get(path: string, init: RequestInit = {}): Promise<Response> {
    return this.service.app.request(path, init);
  }

  async json(path: string): Promise<Record<string, unknown>> {
    return (await (await this.get(path)).json()) as Record<string, unknown>;
  }

  async post(body: unknown, init: RequestInit = {}): Promise<Response> {
    const text = typeof body === 'string' ? body : JSON.stringify({ temperature: 0, ...(body as object) });
    const headers = { 'content-type': 'application/json' };
    return this.service.app.request('/v1/completions', { method: 'POST', headers, body: text, ...init });
  }

  /** A completion that must succeed. */
  async complete(body: object): Promise<Answered> {
    const response = await this.post(body);
    const answered = await response.json();
    if (!response.ok) throw new Error(JSON.stringify(answered));
    return answered as Answered;
  }

  /** The chunks of a streamed completion, and whether it ended as it must. */
  async stream(body: object): Promise<{ chunks: Answered[]; isDone: boolean }> {
    const response = await this.post({ ...body, stream: true });
    const events = (await response.text()).split('\n\n').filter((event) => event !== '');
    const isDone = events.at(-1) === 'data: [DONE]';
    const data = isDone ? events.slice(0, -1) : events;
    return { chunks: data.map((event) => JSON.parse(event.slice('data: '.length)) as Answered), isDone };
  }

  /** The value of a metric without labels, or with these. */
  async metric(name: string): Promise<number> {
    const lines = (await (await this.get('/metrics')).text()).split('\n');
    const line = lines.find((one) => one.startsWith(`hookline_${name} `));
    return line === undefined ? Number.NaN : Number(line.slice(line.lastIndexOf(' ')));
  }

  until(isTrue: () => boolean | Promise<boolean>) {
    return until(isTrue, () => JSON.stringify(this.events));
  }
}
