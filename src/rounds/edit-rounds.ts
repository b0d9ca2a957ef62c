import type { Edit, EditState } from '../editing/index.js';
import { type GateRow, overwrites, type RejectedLine } from '../evaluation/index.js';
import type { Listener } from '../progress.js';
import { type Base, type LatestVersion, type Manifest, nextVersion, type ObjectStore } from '../registry/index.js';
import { compareGates, gateSeparation } from './compare-gates.js';
import { roundMeasures, solvedRound } from './measured-round.js';
import { publishRound } from './publish-round.js';
import { ancestorsOf, roundReport } from './round-report.js';
import { runRound, type WrittenRound } from './run-round.js';
import { type Validation, validateRound } from './validate-round.js';
import { versionMetrics } from './version-metrics.js';
import type { Workbench } from './workbench.js';

/** Consecutive rounds to run on top of a store's latest version. */
export interface EditRoundsRequest {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly modelName: string;
  readonly modelDigest: string;
  readonly statisticsDigests: Readonly<Record<string, string>>;
  /** The latest version and its state; undefined before the first. */
  readonly base: { readonly latest: LatestVersion; readonly state: EditState } | undefined;
  /** One batch per round. */
  readonly batches: readonly (readonly Edit[])[];
  readonly rejected: readonly RejectedLine[];
  /** Token sequences of ordinary text for drift. */
  readonly heldOut: readonly (readonly number[])[];
  /** Whether to measure the other gates on the same edits after the last round. */
  readonly compareGates: boolean;
  readonly publishedBy: string;
}

/** A published round with its measurements. */
export interface RoundOutcome {
  readonly version: number;
  readonly round: WrittenRound;
  readonly validation: Validation;
  readonly manifest: Manifest;
  readonly gates: readonly GateRow[];
}

/** Runs one round per batch: overwrite, seek values, solve, validate, report, publish. Yields each published version. */
export async function* editRounds(
  bench: Workbench,
  request: EditRoundsRequest,
  listener: Listener = {},
): AsyncGenerator<RoundOutcome> {
  const { store, modelId } = request;
  let base: { ref: Base; manifest: Manifest } | undefined = request.base && {
    ref: refOf(request.base.latest),
    manifest: request.base.latest.manifest,
  };
  let state = request.base?.state ?? bench.emptyState;
  const ancestors = base ? await ancestorsOf(store, modelId, base.manifest) : [];
  for (const [b, edits] of request.batches.entries()) {
    const isLast = b === request.batches.length - 1;
    const removedIds = overwrittenIds(edits, base?.manifest, listener);
    const earlier = (base?.manifest.edits ?? []).filter(
      (edit) => edit.status === 'active' && !removedIds.includes(edit.id),
    );
    const round = await runRound(bench, state, edits, removedIds, listener);
    const validation = await validateRound(bench, round.state, edits, earlier, request.heldOut, listener);
    const gates =
      isLast && request.compareGates ? await compareGates(bench, round.state, edits, request.heldOut, listener) : [];
    const separation = await gateSeparation(bench, round.state, edits, validation.textStrengths);
    const measures = roundMeasures(round, validation, { gates, separation });
    const solved = await solvedRound(bench, round);
    const metrics = versionMetrics(measures, solved);
    const { settings, model } = bench;
    const report = await roundReport({
      modelName: request.modelName,
      modelDigest: request.modelDigest,
      ...{ settings, dModel: model.config.dModel, dInner: model.config.dInner },
      version: await nextVersion(store, modelId),
      ...{ edits, solved, measures, metrics, ancestors },
      rejected: b === 0 ? request.rejected : [],
      createdAt: new Date(),
    });
    const published = await publishRound(bench, { ...request, round, base, metrics, report });
    base = { ref: refOf(published), manifest: published.manifest };
    state = round.state;
    ancestors.push(published.manifest);
    yield { version: published.version, round, validation, manifest: published.manifest, gates };
  }
}

function refOf({ version, etag }: LatestVersion): Base {
  return { version, etag };
}

/** Active edits of the base with the same subject and prompt as one of the batch. */
function overwrittenIds(edits: readonly Edit[], base: Manifest | undefined, listener: Listener): string[] {
  const active = (base?.edits ?? [])
    .filter((edit) => edit.status === 'active')
    .map((edit) => ({ ...edit, paraphrases: [], neighborhood: [], keep: [] }));
  const pairs = overwrites(edits, active);
  for (const { newId, oldId } of pairs)
    listener.onNotice?.(`edit ${newId} overwrites edit ${oldId} of an earlier version`);
  return pairs.map(({ oldId }) => oldId);
}
