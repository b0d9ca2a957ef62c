import type { Edit, Hyperparameters } from '../editing/index.js';
import {
  type EditMeasurement,
  type EditRow,
  type LayerRow,
  type LiveAnswer,
  type RejectedEditRow,
  type RejectedLine,
  type ReportData,
  type RoundRow,
  renderReport,
  summarise,
} from '../evaluation/index.js';
import { type Manifest, type ObjectStore, readManifest } from '../registry/index.js';
import type { PublishCriteria } from './criteria.js';
import {
  type Judgement,
  type RoundMeasures,
  type SolvedRound,
  type VersionMetrics,
  versionMetricsSchema,
} from './records.js';

/** What the report of a round is made of. */
export interface RoundReportRequest {
  readonly modelId: string;
  readonly modelDigest: string;
  readonly dModel: number;
  readonly dInner: number;
  readonly settings: Hyperparameters;
  /** The version's number; of a rejected round, the one that it would have had. */
  readonly version: number;
  /** Why the round is not published; left out if it is. */
  readonly rejectedBecause?: string;
  /** In the order of the measures. */
  readonly edits: readonly Edit[];
  readonly solved: SolvedRound;
  readonly measures: RoundMeasures;
  readonly metrics: VersionMetrics;
  /** The versions before, oldest first. */
  readonly ancestors: readonly Ancestor[];
  readonly rejected: readonly RejectedLine[];
  readonly rejectedEdits: readonly RejectedEditRow[];
  readonly judgement: Pick<Judgement, 'offenders' | 'criteria'>;
  /** Notes in addition to those that follow from the measures. */
  readonly notes?: readonly string[];
  readonly createdAt: Date;
}

/** The report of a round as one self-contained HTML page. */
export function roundReport(request: RoundReportRequest): Promise<string> {
  const { measures, metrics, settings, dModel, dInner, solved, ancestors } = request;
  const { criteria } = request.judgement;
  const data: ReportData = {
    title: `${request.modelId}, ${request.rejectedBecause === undefined ? `version ${request.version}` : 'rejected round'}`,
    model: { name: request.modelId, digest: request.modelDigest, hookedLayers: settings.layers, dModel, dInner },
    version: request.version,
    parent: ancestors.at(-1)?.version ?? null,
    createdAt: request.createdAt.toISOString(),
    hyperparameters: settings,
    rounds: roundRows(ancestors, request.version, metrics),
    counterfact: summarise(measures.measurements),
    gates: measures.gates,
    gateSeparation: measures.separation,
    layers: layerRows(request),
    valueSearch: { steps: solved.valueSteps, losses: solved.valueLosses },
    edits: request.edits.map((_, e) => editRow(request, e)),
    rejected: request.rejected,
    rejectedEdits: request.rejectedEdits,
    ...(criteria && { required: requiredBy(criteria) }),
    notes: notesOf(request),
  };
  return renderReport(data);
}

/** What criteria require of a round as a whole. */
const requiredBy = (criteria: PublishCriteria): NonNullable<ReportData['required']> => ({
  reliability: criteria.minReliability,
  locality: criteria.minLocality,
  retention: criteria.minRetention,
  said: criteria.minSaid,
  perplexityRatio: criteria.maxPerplexityRatio,
});

/** A manifest without its edits, which every later manifest lists again: all of them at once would fill the memory. */
export type Ancestor = Omit<Manifest, 'edits'>;

/** The versions from the first one to this one. */
export async function ancestorsOf(store: ObjectStore, modelId: string, manifest: Manifest): Promise<Ancestor[]> {
  const chain = [withoutEdits(manifest)];
  while (chain[0].parent !== null) chain.unshift(withoutEdits(await readManifest(store, modelId, chain[0].parent)));
  return chain;
}

const withoutEdits = ({ edits: _, ...rest }: Manifest): Ancestor => rest;

/** One row for each version up to this one. */
export function roundRows(ancestors: readonly Ancestor[], version: number, metrics: VersionMetrics): RoundRow[] {
  return [...ancestors.map(versionRow), roundRow(ancestors.length + 1, version, metrics)];
}

/** A version's row by its place among all versions. */
export function versionRow(manifest: Pick<Manifest, 'version' | 'metrics'>, index: number): RoundRow {
  const metrics = versionMetricsSchema.safeParse(manifest.metrics);
  if (!metrics.success) return { round: index + 1, version: manifest.version, newEdits: 0 };
  return roundRow(index + 1, manifest.version, metrics.data);
}

function roundRow(round: number, version: number, metrics: VersionMetrics): RoundRow {
  const newEdits = metrics.revocation === undefined ? metrics.measured : -metrics.revocation.edits;
  return { ...metrics, newEdits, round, version, seconds: metrics.secondsForValues + metrics.secondsForSolve };
}

/** How many edits each layer holds, how much of its weight they change, and how many bytes they take. */
function layerRows({ solved, edits, dInner, dModel }: RoundReportRequest): LayerRow[] {
  return solved.layers.map((layer) => ({
    ...layer,
    sizeBytes: segmentBytes(layer.edits, edits.length, dInner, dModel),
  }));
}

/**
 * About how many bytes a layer's edits take in segments, as if all rounds were as large as this one. Keys, targets and gram
 * matrix entries between rounds take one byte each; half of each round's own gram matrix is float32.
 */
function segmentBytes(edits: number, editsPerRound: number, dInner: number, dModel: number): number {
  const withinRounds = 2 * edits * (editsPerRound + 1);
  const acrossRounds = (edits * Math.max(0, edits - editsPerRound)) / 2;
  return Math.round(edits * (dInner + dModel) + withinRounds + acrossRounds);
}

function editRow({ edits, measures, solved, ancestors, judgement }: RoundReportRequest, e: number): EditRow {
  const shares = solved.writtenShare.map((share) => share[e]);
  const hasFailed = judgement.offenders.some(({ id }) => id === edits[e].id);
  const seen = {
    before: measures.before[e].text,
    answer: measures.answers[e],
    firedBy: measures.firedBy[e],
    round: ancestors.length + 1,
    status: hasFailed ? ('failed' as const) : ('applied' as const),
  };
  const writtenShare = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  return { ...measuredEditRow(edits[e], measures.measurements[e], seen), writtenShare };
}

/** What else a report tells of an edit. */
interface SeenEdit extends Pick<EditRow, 'before' | 'firedBy' | 'round' | 'status'> {
  readonly answer: LiveAnswer;
}

/** An edit with what was measured of it. */
export function measuredEditRow(edit: Edit, measured: EditMeasurement, { answer, ...seen }: SeenEdit): EditRow {
  const whole = (shares: readonly number[]) => shares.filter((share) => share === 1).length;
  return {
    id: edit.id,
    subject: edit.subject,
    prompt: edit.prompt,
    targetNew: edit.targetNew,
    targetTrue: edit.targetTrue ?? null,
    after: answer.text,
    said: answer.said,
    ...(answer.chat && { inChat: answer.chat.hasTarget, chatText: answer.chat.text }),
    reliability: measured.reliability,
    paraphrasesRight: whole(measured.generality),
    paraphrasesTotal: measured.generality.length,
    neighborhoodKept: whole(measured.locality),
    neighborhoodTotal: measured.locality.length,
    similarity: measured.firing?.strength,
    ...seen,
  };
}

function notesOf({ edits, measures, version, rejectedBecause, notes = [] }: RoundReportRequest): string[] {
  return [
    ...(rejectedBecause === undefined
      ? []
      : [`This round was rejected and is not published: ${rejectedBecause}. It would have been version ${version}.`]),
    ...notes,
    ...(measures.drift === null ? [noHeldOutNote] : []),
    ...(edits.some((edit) => edit.keep.length === 0)
      ? ['Some edits bring no keep prompts: their same-subject locality was measured on generic prompts.']
      : []),
    ...(measures.separation
      ? ['Gate separation: the strongest token of each prompt; every token of the held-out text.']
      : []),
    localityNote,
  ];
}

/** The note of a report without drift. */
export const noHeldOutNote = 'No held-out text was given: perplexity, KL to base and swap rate were not measured.';

/** The note that explains locality. */
export const localityNote =
  'Locality is agreement of the most probable tokens with the base model, never with an edited one.';
