/** @file The service's metrics for Prometheus. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The figures of a finished choice. */
export interface ChoiceTimes {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly firings: number;
  /** Measured from the start of computation, so without the wait in the queue. */
  readonly firstTokenSeconds: number;
  readonly totalSeconds: number;
}

const stepBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
const waitBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * The metrics of one service. It has its own registry, so that several services in one process stay apart. Labels are
 * only routes, statuses and model ids, so that the number of time series stays bounded.
 */
export class ServiceMetrics {
  readonly #registry = new Registry();
  readonly #requests = this.#counter('requests_total', 'Requests answered', ['route', 'status']);
  readonly #promptTokens = this.#counter('prompt_tokens_total', 'Tokens of prompts', ['model']);
  readonly #tokens = this.#counter('completion_tokens_total', 'Tokens generated', ['model']);
  readonly #firings = this.#counter('firings_total', 'Gates that an edit opened', ['model']);
  readonly #switches = this.#counter('version_switches_total', 'Versions switched to', ['model']);
  readonly #refusals = this.#counter('versions_refused_total', 'Versions refused: tampered, torn, mismatched', [
    'model',
  ]);
  readonly #version = new Gauge({
    name: 'hookline_current_version',
    help: 'Version served as the latest; 0 is the base model',
    labelNames: ['model'],
    registers: [this.#registry],
  });
  readonly #firstToken = this.#histogram(
    'time_to_first_token_seconds',
    'Until the first text of a choice',
    waitBuckets,
  );
  readonly #perToken = this.#histogram('time_per_token_seconds', 'Between tokens of a choice, its mean', stepBuckets);
  readonly #switchSeconds = this.#histogram('switch_seconds', 'Preparing a version, beyond its download', waitBuckets);

  /** @param load functions that give the current load; they are called whenever the metrics are read */
  constructor(
    modelIds: readonly string[],
    load: { readonly activeChoices: () => number; readonly queuedRequests: () => number },
  ) {
    this.#gauge('active_choices', 'Choices computed now', load.activeChoices);
    this.#gauge('queue_depth', 'Requests that wait', load.queuedRequests);
    for (const model of modelIds) {
      this.#version.set({ model }, 0);
      for (const counter of [this.#tokens, this.#firings, this.#switches, this.#refusals]) counter.inc({ model }, 0);
    }
  }

  /** Adds the metrics of the process: memory, CPU time, event loop. */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** Counts an answered request. @param route the route's pattern, such as `/versions/:version/report` */
  answered(route: string, status: number): void {
    this.#requests.inc({ route, status });
  }

  completed(model: string, { promptTokens, completionTokens, firings, firstTokenSeconds, totalSeconds }: ChoiceTimes) {
    this.#promptTokens.inc({ model }, promptTokens);
    this.#tokens.inc({ model }, completionTokens);
    this.#firings.inc({ model }, firings);
    if (completionTokens > 0) this.#firstToken.observe(firstTokenSeconds);
    if (completionTokens > 1) this.#perToken.observe((totalSeconds - firstTokenSeconds) / (completionTokens - 1));
  }

  switched(model: string, version: number, seconds: number): void {
    this.#version.set({ model }, version);
    this.#switches.inc({ model });
    this.#switchSeconds.observe(seconds);
  }

  refused(model: string): void {
    this.#refusals.inc({ model });
  }

  /** All metrics in the text format of Prometheus. */
  async text(): Promise<{ readonly contentType: string; readonly body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  #counter(name: string, help: string, labelNames: readonly string[]) {
    return new Counter({ name: `hookline_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #histogram(name: string, help: string, buckets: number[]) {
    return new Histogram({ name: `hookline_${name}`, help, buckets, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name: `hookline_${name}`,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }
}
