import { storedHyperparametersSchema } from '../../editing/index.js';
import { mean, type ReportData, type RevokedRow, renderReport, summarise } from '../../evaluation/index.js';
import type { ManifestEdit } from '../../registry/index.js';
import type { LayerChange } from '../layer-changes.js';
import type { VersionMetrics } from '../records.js';
import { roundNotes } from '../round-notes.js';
import { type Ancestor, localityNote, measuredEditRow, noHeldOutNote, roundRows } from '../round-report.js';
import type { KeptChange, RevokedEdit, RevokeMeasures } from './revoke-measures.js';
import type { NotRestored } from './revoke-selection.js';

/** What the report of a revocation is made of. */
export interface RevokeReportRequest {
  /** The version's number. */
  readonly version: number;
  /** The versions before, oldest first; the last one is the base. */
  readonly ancestors: readonly Ancestor[];
  readonly measures: RevokeMeasures;
  readonly metrics: VersionMetrics;
  readonly layers: readonly LayerChange[];
  /** In the order of the measures, as `kept` is. */
  readonly revoked: readonly ManifestEdit[];
  readonly kept: readonly ManifestEdit[];
  readonly notRestored: readonly NotRestored[];
  readonly createdAt: Date;
}

/** The report of a version that revokes edits, as one self-contained HTML page. */
export function revokeReport(request: RevokeReportRequest): Promise<string> {
  const { version, ancestors, measures, metrics, layers } = request;
  const base = ancestors[ancestors.length - 1];
  const settings = storedHyperparametersSchema.parse(base.hyperparameters);
  const { dModel, dInner } = base;
  const data: ReportData = {
    title: `${base.modelId}, version ${version}: ${measures.revoked.length} revoked`,
    model: { name: base.modelId, digest: base.modelDigest, hookedLayers: base.layers, dModel, dInner },
    version,
    parent: base.version,
    createdAt: request.createdAt.toISOString(),
    hyperparameters: settings,
    rounds: roundRows(ancestors, version, metrics),
    counterfact: measures.kept.length === 0 ? null : summarise(measures.kept.map(({ after }) => after)),
    gates: [],
    layers,
    edits: measures.kept.map(({ edit, after, answer, texts, firedBy }, e) => {
      const round = roundOf(request.kept[e], ancestors);
      return measuredEditRow(edit, after, { before: texts.base, answer, firedBy, round, status: 'applied' });
    }),
    rejectedEdits: [],
    rejected: [],
    revocation: {
      edits: measures.revoked.map((measured, e) => revokedRow(measured, request.revoked[e], request.notRestored)),
      kept: measures.kept.length,
      changes: measures.changes.map((change) => ({ ...change, metric: metricNames[change.metric] })),
    },
    notes: notesOf(request),
  };
  return renderReport(data);
}

const metricNames: Readonly<Record<KeptChange['metric'], string>> = {
  reliability: 'Reliability',
  generality: 'Generality',
  locality: 'Locality',
  sameSubjectLocality: 'Same-subject locality',
};

/** The number of the round that wrote an edit. */
function roundOf({ version }: ManifestEdit, ancestors: readonly Ancestor[]): number {
  return ancestors.findIndex((ancestor) => ancestor.version === version) + 1;
}

function revokedRow(
  { edit, before, after, texts, firedBy, agreement }: RevokedEdit,
  { version }: ManifestEdit,
  lost: readonly NotRestored[],
): RevokedRow {
  const earlier = lost.find(({ revokedId }) => revokedId === edit.id)?.earlier;
  return {
    id: edit.id,
    subject: edit.subject,
    prompt: edit.prompt,
    targetNew: edit.targetNew,
    writtenBy: version,
    reliabilityBefore: before.reliability,
    reliabilityAfter: after.reliability,
    baseAgreement: mean(agreement),
    textBefore: texts.before,
    textAfter: texts.after,
    textBase: texts.base,
    firedBy,
    overwrote: earlier === undefined ? null : { id: earlier.id, targetNew: earlier.targetNew },
  };
}

function notesOf({ measures, metrics, notRestored }: RevokeReportRequest): string[] {
  return [
    'Nothing was optimised: the weights were solved again from the kept keys and targets of the edits that stay.',
    'The headline numbers, and this version’s row among the rounds, are of all edits that stay.',
    ...(metrics.revocation?.forced
      ? ['It was published by force: another edit is less reliable than before by more than was tolerated.']
      : []),
    ...notRestored.map(
      ({ revokedId, earlier }) =>
        `Edit ${revokedId} had overwritten edit ${earlier.id} (“${earlier.targetNew}”), which does not come back.`,
    ),
    ...roundNotes({ measurements: [...measures.revoked, ...measures.kept].map(({ after }) => after) }).map(
      (note) => `${note}.`,
    ),
    ...(measures.drift === null ? [noHeldOutNote] : []),
    localityNote,
  ];
}
