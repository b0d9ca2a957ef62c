import { PermanentError, RoundRejectedError, RoundsQuarantinedError } from '../../errors.js';
import type { ObjectStore } from '../../registry/index.js';
import { renamedText } from '../../rounds/index.js';
import { type BatchState, type PublishedRound, readPublishedRound } from '../../workflow/index.js';
import { printRounds } from '../tables/round-tables.js';
import type { Terminal } from '../terminal/terminal.js';

/** A batch file and its outcome. */
export interface BatchResult extends BatchState {
  readonly path: string;
}

/** The store and model that batches were dropped for. */
export interface BatchPlace {
  readonly store: ObjectStore;
  /** As the user wrote it. */
  readonly location: string;
  readonly modelId: string;
}

/**
 * Reports the outcome of batches: first rejected lines, then the published versions in the form of `hookline edit`.
 *
 * @param more further fields of the JSON value
 * @throws {PermanentError} if a batch holds no acceptable edit
 * @throws {RoundRejectedError} if the criteria rejected a round of one
 * @throws {RoundsQuarantinedError} if a round of one was quarantined
 */
export async function reportBatches(
  terminal: Terminal,
  { store, location, modelId }: BatchPlace,
  batches: readonly BatchResult[],
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  for (const { path, rejected } of batches) {
    for (const { lineNumber, reason } of rejected) terminal.warn(`${path}, line ${lineNumber}: ${reason}`);
  }
  const units = batches.flatMap((batch) => batch.units);
  const versions = [...new Set(units.flatMap(({ version }) => version ?? []))].sort((a, b) => a - b);
  const rounds: PublishedRound[] = [];
  for (const version of versions) rounds.push(await readPublishedRound(store, modelId, version));
  terminal.json({
    modelId,
    versions: rounds.map(({ version, metrics, renamed, notes }) => ({ version, metrics, renamed, notes })),
    rejected: batches.flatMap((batch) => batch.rejected),
    batches,
    ...more,
  });
  for (const edit of rounds.flatMap(({ renamed }) => renamed)) terminal.warn(renamedText(edit));
  for (const { newId, oldId } of rounds.flatMap(({ overwrites }) => overwrites)) {
    terminal.note(`Edit ${newId} overwrites edit ${oldId} of an earlier version`);
  }
  for (const note of rounds.flatMap(({ notes }) => notes)) terminal.warn(note);
  printRounds(terminal, rounds, { store: location, modelId });
  throwIfUnfit(modelId, batches);
}

function throwIfUnfit(modelId: string, batches: readonly BatchResult[]): void {
  const refused = batches.find(({ reason }) => reason !== '');
  if (refused) throw new PermanentError(refused.reason);
  const units = batches.flatMap((batch) => batch.units);
  const rejected = units.find(({ state }) => state === 'rejected');
  if (rejected) throw new RoundRejectedError(modelId, rejected.reason);
  const failed = units.filter(({ state }) => state === 'failed').length;
  if (failed > 0) throw new RoundsQuarantinedError(modelId, failed);
}
