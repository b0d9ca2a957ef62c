import { Command, Option } from 'commander';
import type { ObjectStore, Pointer, VersionSummary } from '../../registry/index.js';
import { type StoreOptions, storeOptions } from '../options/model-options.js';
import { metricOf, newEdits, ratioAsText } from '../tables/metric.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { type Cell, createTerminal, type Terminal } from '../terminal/terminal.js';

interface VersionsOptions extends StoreOptions {
  readonly history?: boolean;
}

/** `hookline versions`: lists every version of a model with its metrics. */
export function versionsCommand(): Command {
  const command = new Command('versions')
    .description('List the versions of a model with what each measured')
    .action(listAll);
  addOptions(command, [
    ...storeOptions(),
    new Option('--history', 'also list every move of latest, rollbacks among them, and who made it'),
  ]);
  return addExamples(command, [
    'hookline versions',
    'hookline versions --store ./hookline-store --model-id smollm2-135m-instruct',
    'hookline versions --history',
    'hookline versions --json',
  ]);
}

async function listAll(options: VersionsOptions): Promise<void> {
  const { listVersions } = await import('../../registry/index.js');
  const { openVersions } = await import('../options/open-versions.js');
  const terminal = createTerminal(options);
  const { store, modelId } = await openVersions(options);
  const listing = await listVersions(store, modelId);
  const history = options.history ? await movesOfLatest(store, modelId) : undefined;
  terminal.json({ modelId, ...listing, ...(history && { history }) });
  if (listing.published.length + listing.damaged.length === 0) terminal.print(`model ${modelId} has no version yet`);
  else terminal.table(head, listing.published.map(rowOf));
  for (const { version, problem } of listing.damaged) terminal.warn(`version ${version} is damaged: ${problem}`);
  if (listing.unpublished.length > 0) {
    terminal.note(`left over from publishes that did not finish: ${listing.unpublished.join(', ')}`);
  }
  if (history && history.length > 0) printHistory(terminal, history);
}

/** Every state of the pointer `latest` so far, oldest first. */
async function movesOfLatest(store: ObjectStore, modelId: string): Promise<Pointer[]> {
  const { pointerHistory } = await import('../../registry/index.js');
  const moves: Pointer[] = [];
  for await (const { pointer } of pointerHistory(store, modelId)) moves.unshift(pointer);
  return moves;
}

function printHistory(terminal: Terminal, history: readonly Pointer[]): void {
  terminal.print();
  terminal.table(
    ['move', 'at', 'what', 'from', 'to', 'by'],
    history.map(({ sequence, publishedAt, action, previous, version, publishedBy }) => [
      sequence,
      minuteOf(publishedAt),
      action,
      previous?.version,
      version,
      publishedBy,
    ]),
  );
}

const minuteOf = (time: string): string => time.slice(0, 16).replace('T', ' ');

const head = [
  ...['version', 'published', 'parent', 'edits', 'new'],
  ...['reliability', 'said', 'in chat', 'generality', 'locality', 'retention'],
];

function rowOf(version: VersionSummary): Cell[] {
  const metric = (name: string) => ratioAsText(metricOf(version.metrics, name));
  return [
    `${version.version}${version.isLatest ? ' latest' : ''}`,
    minuteOf(version.createdAt),
    version.parent,
    version.activeEdits,
    newEdits(version.ownEdits, version.metrics),
    metric('reliability'),
    metric('said') ?? metric('liveExactMatch'),
    metric('inChat'),
    metric('generality'),
    metric('locality'),
    metric('retention'),
  ];
}
