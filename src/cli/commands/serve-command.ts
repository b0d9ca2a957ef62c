import { Command, Option } from 'commander';
import { InvalidInputError } from '../../errors.js';
import type { ServiceEvent, ServiceLog, ServiceOptions } from '../../server/index.js';
import {
  computeOptions,
  finiteNumber,
  type ModelOptions,
  modelOption,
  storeOption,
  wholeNumber,
} from '../options/model-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal, type Terminal } from '../terminal/terminal.js';

interface ServeOptions extends Omit<ModelOptions, 'modelId'> {
  readonly modelId?: readonly string[];
  readonly host: string;
  readonly port: number;
  /** Seconds. */
  readonly interval: number;
  readonly cache?: string;
  readonly maxBodyKib: number;
  readonly maxTokens: number;
  readonly maxConcurrency: number;
  readonly maxQueue: number;
  /** Seconds. */
  readonly timeout: number;
  readonly apiKeyEnv?: string;
  readonly corsOrigin?: string;
  readonly verbose?: boolean;
}

const count = (flag: string, description: string, preset: number, min = 1): Option =>
  new Option(`${flag} <n>`, description).default(preset).argParser(wholeNumber(flag, { min }));

/** `hookline serve`: serves the edited model over HTTP until it is stopped. */
export function serveCommand(): Command {
  const command = new Command('serve')
    .description('Serve the edited model over HTTP: OpenAI-compatible completions, versions, metrics and a page')
    .action(serve);
  addOptions(command, [
    storeOption(),
    modelOption(),
    new Option(
      '--model-id <id>',
      'whose versions to serve; may be given again (default: from the folder, or the only one there)',
    ).argParser((id: string, before: readonly string[] = []) => [...before, id]),
    ...computeOptions().filter(({ long }) => long === '--device'),
    new Option('--host <address>', 'where to listen; another than loopback opens it to the network').default(
      '127.0.0.1',
    ),
    new Option('--port <n>', '0 takes a free one').default(8080).argParser(wholeNumber('--port', { max: 65_535 })),
    new Option('--interval <seconds>', 'mean time between two looks for a new version')
      .default(10)
      .argParser(finiteNumber('--interval', { min: 0.1, max: 86_400 })),
    new Option('--cache <dir>', "keep versions' contents in a folder (default: in memory)"),
    count('--max-body-kib', 'largest body of a request, KiB', 256),
    count('--max-tokens', 'most new tokens of a choice', 512),
    count('--max-concurrency', 'choices computed at the same time', 16),
    count('--max-queue', 'requests that wait; more get a 429', 64, 0),
    count('--timeout', 'seconds for a request, waiting included', 120),
    new Option('--api-key-env <name>', 'ask clients for the key in this environment variable'),
    new Option('--cors-origin <origin>', 'let pages of this site ask'),
  ]);
  addExamples(command, [
    'hookline serve --model ./SmolLM2-135M-Instruct',
    'hookline serve --model ./SmolLM2-135M-Instruct --store s3://my-bucket --model-id tenant-a --model-id tenant-b',
    'hookline serve --model ./SmolLM2-135M-Instruct --host 0.0.0.0 --api-key-env HOOKLINE_API_KEY --json',
  ]);
  return command.addHelpText(
    'after',
    `
A request's model is <id> (the latest version), <id>@<version>, or base. Versions that are published or rolled back to
while it runs are switched to without a pause; one that is refused leaves the one before in place.
Routes: POST /v1/completions, GET /v1/models, /versions, /versions/<n>/report, /healthz, /readyz, /metrics, and the page /.
--verbose prints a line for each request, --json prints every event as a line of JSON.
Ctrl-C or SIGTERM ends it in order: requests under way are answered first.`,
  );
}

async function serve(options: ServeOptions): Promise<void> {
  const { loadServedModel, Service } = await import('../../server/index.js');
  const { resolveDevice } = await import('../../runtime/index.js');
  const { onStop } = await import('../terminal/stop-signals.js');
  const terminal = createTerminal(options);
  const access = await accessOptions(terminal, options);
  const { store, modelIds, cache } = await openLineages(options);
  const device = await resolveDevice(options.device, { onNotice: (message) => terminal.note(message) });
  const log = eventPrinter(terminal, options);
  terminal.note(`loading ${options.model}`);
  const edited = await loadServedModel(options.model, { store, modelId: modelIds[0], cache, log, device });
  const { host, port, interval: intervalSeconds } = options;
  const limits = limitsOf(options);
  const service = new Service({ edited, store, modelIds, cache, host, port, intervalSeconds, limits, log, ...access });
  try {
    const url = await service.listen();
    service.watch();
    const listener = onStop(async () => {
      terminal.note('stopping; requests under way are answered first');
      await service.stop();
    });
    terminal.jsonLine({ event: 'listening', url, modelIds });
    terminal.print(`serving ${modelIds.join(', ')} on ${url}`);
    await listener.stopped;
    listener.dispose();
  } finally {
    await edited.dispose();
  }
}

function limitsOf(options: ServeOptions) {
  const { maxBodyKib, maxTokens, maxConcurrency, maxQueue, timeout } = options;
  return {
    maxBodyBytes: 1024 * maxBodyKib,
    maxTokens,
    maxConcurrency,
    maxQueue,
    requestTimeoutSeconds: timeout,
  };
}

async function openLineages({ cache, modelId, ...options }: ServeOptions) {
  const { DirectoryContentCache, MemoryContentCache } = await import('../../registry/index.js');
  const { openExistingStore, openVersions } = await import('../options/open-versions.js');
  const contents = cache === undefined ? new MemoryContentCache() : new DirectoryContentCache(cache);
  if (modelId !== undefined) return { store: openExistingStore(options.store), modelIds: modelId, cache: contents };
  const opened = await openVersions(options);
  return { store: opened.store, modelIds: [opened.modelId], cache: contents };
}

/** The service's access options. @throws {InvalidInputError} if the environment variable of the key is empty */
async function accessOptions(
  terminal: Terminal,
  { host, apiKeyEnv, corsOrigin }: ServeOptions,
): Promise<Pick<ServiceOptions, 'apiKey' | 'corsOrigin'>> {
  const { isLoopback } = await import('../../server/index.js');
  const apiKey = apiKeyEnv === undefined ? undefined : process.env[apiKeyEnv];
  if (apiKeyEnv !== undefined && !apiKey) {
    throw new InvalidInputError('--api-key-env', 'a variable that holds a key', `${apiKeyEnv}, which is empty`);
  }
  if (!isLoopback(host) && apiKey === undefined) {
    terminal.warn(`${host} is open to the network and nobody is asked for a key (--api-key-env)`);
  }
  return { ...(apiKey && { apiKey }), ...(corsOrigin !== undefined && { corsOrigin }) };
}

/** Prints one line for each event. Requests are printed only with `--json` or `--verbose`. */
function eventPrinter(terminal: Terminal, { verbose = false }: ServeOptions): ServiceLog {
  return (event) => {
    const { cause, ...told } = { cause: undefined, ...event };
    terminal.jsonLine({ at: new Date().toISOString(), ...told });
    if (terminal.isJson) return;
    if (event.event === 'request' && !verbose) return;
    if (event.event === 'request' || event.event === 'switched') terminal.note(lineOf(event));
    else terminal.warn(lineOf(event));
    if (verbose && cause instanceof Error && cause.stack !== undefined)
      for (const line of cause.stack.split('\n')) terminal.note(line);
  };
}

function lineOf(event: ServiceEvent): string {
  switch (event.event) {
    case 'request': {
      const { method, path, status, milliseconds, model, completionTokens } = event;
      const answer = model === undefined ? '' : `, ${model}`;
      const tokens = completionTokens === undefined ? '' : `, ${completionTokens} tokens`;
      return `${method} ${path} ${status} in ${milliseconds} ms${answer}${tokens}`;
    }
    case 'switched':
      return `${event.modelId}: version ${event.from ?? 'none'} -> version ${event.to} in ${(1000 * event.seconds).toFixed(0)} ms`;
    case 'failed':
      return `request ${event.id} failed: ${event.message}`;
    default:
      return `${event.modelId}: ${event.message}; ${event.serving === null ? 'no version' : `version ${event.serving}`} goes on`;
  }
}
