import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { cors } from 'hono/cors';
import { HTTPException } from 'hono/http-exception';
import { routePath } from 'hono/route';
import { secureHeaders } from 'hono/secure-headers';
import { TransientError } from '../errors.js';
import type { ContentCache, ObjectStore } from '../registry/index.js';
import type { EditedModel } from '../serving/index.js';
import { Admission } from './admission.js';
import { completions, internal } from './completions.js';
import { isLoopback, requireJson, requireKey, requireLoopbackName } from './guards.js';
import { addHealthRoutes } from './health-routes.js';
import { addPageRoutes } from './page-routes.js';
import { refusal } from './refusal.js';
import { RequestTrace, type ServiceEnvironment } from './request-trace.js';
import { RequestsUnderWay, stoppingRefusal } from './requests-under-way.js';
import { ServedModels, versionHeader } from './served-models.js';
import type { ServiceLog } from './service-event.js';
import { defaultLimits, type ServiceLimits } from './service-limits.js';
import { ServiceMetrics } from './service-metrics.js';
import { Turns } from './turns.js';
import { addVersionRoutes } from './version-routes.js';

/** The options of a service. */
export interface ServiceOptions {
  /** The caller keeps ownership and has to dispose of it. */
  readonly edited: EditedModel;
  readonly store: ObjectStore;
  /** Each id has its own versions on the same base model. The first id is the default. */
  readonly modelIds: readonly string[];
  /** Where the contents of versions are cached; memory by default. */
  readonly cache?: ContentCache;
  /** Mean time between two looks at the store; 10 by default. */
  readonly intervalSeconds?: number;
  readonly limits?: Partial<ServiceLimits>;
  /** 127.0.0.1 by default, which only this machine can reach. */
  readonly host?: string;
  /** 8080 by default; 0 picks any free port. */
  readonly port?: number;
  /** The key that clients must send. Without this option no key is required. */
  readonly apiKey?: string;
  /** Another site whose pages can call this service. */
  readonly corsOrigin?: string;
  readonly log: ServiceLog;
}

/** How long slow clients can still read their answers when the service stops. */
const lastReadMilliseconds = 5000;

/** The paths that require the API key. Liveness and readiness stay open to health checkers, which have no key. */
const guardedPaths = ['/', '/page/*', '/v1/*', '/versions/*', '/metrics'];

/** The security headers of every answer but HTML pages, which set their own. */
const headerRules: Parameters<typeof secureHeaders>[0] = {
  contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  xFrameOptions: 'DENY',
  strictTransportSecurity: false,
  overwrite: false,
};

/** The pattern of the route that answers, such as `/versions/:version/report`; `none` for an unknown path. */
const routeOf = (context: Context): string => {
  const path = routePath(context, -1);
  return path.endsWith('*') ? 'none' : path;
};

/** Serves published versions over HTTP: OpenAI's completions, versions, health, metrics, and a page. */
export class Service {
  readonly app = new Hono<ServiceEnvironment>();
  readonly #models: ServedModels;
  readonly #metrics: ServiceMetrics;
  readonly #limits: ServiceLimits;
  readonly #underWay: RequestsUnderWay;
  readonly #stop = new AbortController();
  #watches: readonly Promise<void>[] = [];
  #server: Server | undefined;
  readonly #options: ServiceOptions;

  /** @throws {InvalidInputError} if the model ids are missing, repeated or invalid */
  constructor(options: ServiceOptions) {
    this.#options = options;
    const { modelIds } = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    const admission = new Admission(this.#limits);
    this.#underWay = new RequestsUnderWay(this.#limits.requestTimeoutSeconds);
    const load = { activeChoices: () => admission.active, queuedRequests: () => admission.queued };
    this.#metrics = new ServiceMetrics(modelIds, load);
    this.#models = new ServedModels(modelIds, { ...options, metrics: this.#metrics });
    this.#addGuards();
    this.#addRoutes(admission);
  }

  /** Starts to look for new versions. */
  watch(): void {
    const { intervalSeconds = 10 } = this.#options;
    this.#watches = this.#models.lineages.map((lineage) => lineage.watch(intervalSeconds, this.#stop.signal));
  }

  /**
   * Starts to answer requests.
   * @returns the service's URL
   * @throws {TransientError} if the port is taken or the host is not an address of this machine
   */
  async listen(): Promise<string> {
    const { host = '127.0.0.1', port = 8080 } = this.#options;
    this.#metrics.collectProcess();
    const taken = await new Promise<number>((resolve, reject) => {
      const server = serve({ fetch: this.app.fetch, hostname: host, port }, (address) => resolve(address.port));
      // `serve` makes a plain HTTP server unless its options ask for another kind.
      this.#server = server as Server;
      server.on('error', (cause) => {
        reject(
          new TransientError(`address ${host}:${port}: a free one of this machine, got ${cause.message}`, { cause }),
        );
      });
    });
    return `http://${host.includes(':') ? `[${host}]` : host}:${taken}`;
  }

  /** Refuses new requests, waits for those under way, and then ends everything that the service runs. */
  async stop(): Promise<void> {
    this.#stop.abort();
    const server = this.#server;
    let isClosed = server === undefined;
    server?.close(() => {
      isClosed = true;
    });
    await this.#underWay.drain(this.#limits.drainSeconds);
    await Promise.all(this.#watches);
    // All answers are computed now. Clients may still be reading them, or keep idle connections open.
    for (const giveUpAt = Date.now() + lastReadMilliseconds; !isClosed && Date.now() < giveUpAt; ) {
      server?.closeIdleConnections();
      await sleep(20);
    }
    server?.closeAllConnections();
  }

  #addGuards(): void {
    const { app } = this;
    const { log, host = '127.0.0.1', apiKey, corsOrigin } = this.#options;
    app.use(async (context, next) => {
      const onEnd = (status: number) => this.#metrics.answered(routeOf(context), status);
      const trace = new RequestTrace(context.req.method, context.req.path, log, onEnd);
      context.set('trace', trace);
      await next();
      if (!context.res.headers.has('x-hookline-version')) {
        context.header('x-hookline-version', versionHeader(this.#models.lineages[0].current));
      }
      if (!trace.isStreaming) trace.end(context.res.status);
    });
    app.use(secureHeaders(headerRules));
    if (isLoopback(host)) app.use(requireLoopbackName);
    if (corsOrigin !== undefined) app.use(cors({ origin: corsOrigin, exposeHeaders: ['x-hookline-version'] }));
    if (apiKey !== undefined) for (const path of guardedPaths) app.use(path, requireKey(apiKey));
    app.notFound((context) => {
      const error = refusal(404, `path: one of this service, got ${context.req.method} ${context.req.path}`);
      return error.getResponse();
    });
    app.onError((error, context) => {
      if (error instanceof HTTPException) return error.getResponse();
      const trace = context.get('trace');
      trace.fail(error);
      return refusal(500, internal(trace)).getResponse();
    });
  }

  #addRoutes(admission: Admission): void {
    const parts = {
      models: this.#models,
      limits: this.#limits,
      metrics: this.#metrics,
      underWay: this.#underWay,
      admission,
      turns: new Turns(),
    };
    const { maxBodyBytes } = this.#limits;
    const limitBody = bodyLimit({
      maxSize: maxBodyBytes,
      onError: () => {
        throw refusal(413, `body: at most ${maxBodyBytes} bytes, got more`, { code: 'body_too_large' });
      },
    });
    this.app.post('/v1/completions', requireJson, limitBody, (context) => {
      if (this.#stop.signal.aborted) throw stoppingRefusal();
      return completions(parts, context);
    });
    addVersionRoutes(this.app, this.#models, this.#options.store);
    addHealthRoutes(this.app, this.#models, this.#metrics, () => this.#stop.signal.aborted);
    addPageRoutes(this.app, this.#models, this.#options.store, this.#limits);
  }
}
