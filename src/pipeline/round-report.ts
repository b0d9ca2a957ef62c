import {
  type EditRow,
  type GateRow,
  type GateSeparation,
  type LayerRow,
  type RejectedLine,
  type ReportData,
  type RoundRow,
  renderReport,
} from '../evaluation/index.js';
import type { Manifest } from '../registry/index.js';
import { layerChanges } from './layer-changes.js';
import type { WrittenRound } from './run-round.js';
import type { Validation } from './validate-round.js';
import { median, type VersionMetrics, versionMetricsSchema } from './version-metrics.js';
import type { Workbench } from './workbench.js';

/** All that a report of one version is made of. */
export interface RoundReportRequest {
  readonly modelName: string;
  readonly modelDigest: string;
  readonly version: number;
  readonly round: WrittenRound;
  readonly validation: Validation;
  readonly metrics: VersionMetrics;
  /** Manifests of the versions before, oldest first. */
  readonly ancestors: readonly Manifest[];
  readonly gates: readonly GateRow[];
  readonly separation: GateSeparation | undefined;
  readonly rejected: readonly RejectedLine[];
  readonly notes: readonly string[];
  readonly createdAt: Date;
}

/** The version's report as one self-contained HTML page. */
export async function roundReport(bench: Workbench, request: RoundReportRequest): Promise<string> {
  const { validation, round, metrics } = request;
  const { dModel, dInner } = bench.model.config;
  const data: ReportData = {
    title: `${request.modelName}, version ${request.version}`,
    model: {
      name: request.modelName,
      digest: request.modelDigest,
      hookedLayers: bench.settings.layers,
      dModel,
      dInner,
    },
    version: request.version,
    parent: request.ancestors.at(-1)?.version ?? null,
    createdAt: request.createdAt.toISOString(),
    hyperparameters: bench.settings,
    rounds: [...request.ancestors.map(ancestorRow), roundRow(request.ancestors.length + 1, request.version, metrics)],
    counterfact: validation.summary,
    gates: request.gates,
    gateSeparation: request.separation ?? null,
    layers: await layerRows(bench, round),
    valueSearch: {
      steps: round.targets.map((target) => target.losses.length - 1),
      losses: round.targets.map((target) => target.losses.at(-1)!),
    },
    edits: editRows(request),
    rejected: request.rejected,
    notes: request.notes,
  };
  return renderReport(data);
}

function ancestorRow(manifest: Manifest, index: number): RoundRow {
  const metrics = versionMetricsSchema.safeParse(manifest.metrics);
  if (!metrics.success) return { round: index + 1, version: manifest.version, edits: 0 };
  return roundRow(index + 1, manifest.version, metrics.data);
}

function roundRow(round: number, version: number, metrics: VersionMetrics): RoundRow {
  return { ...metrics, round, version, seconds: metrics.secondsForValues + metrics.secondsForSolve };
}

/** What each layer holds, and how much of its weight that is. */
async function layerRows(bench: Workbench, round: WrittenRound): Promise<LayerRow[]> {
  const { dInner, dModel } = bench.model.config;
  const changes = await layerChanges(bench.model, round.state, bench.engine);
  return changes.map((change, i) => ({
    ...change,
    writtenShareMedian: median(Array.from(round.writtenShare[i])),
    sizeBytes: segmentBytes(change.edits, round.edits.length, dInner, dModel),
  }));
}

/**
 * About what a layer's edits take in segments, in bytes, as if all rounds were as large as this one: keys, targets and the gram
 * matrix of different rounds' edits in eight bits, half of each round's own gram matrix in float32.
 */
function segmentBytes(edits: number, editsPerRound: number, dInner: number, dModel: number): number {
  const withinRounds = 2 * edits * (editsPerRound + 1);
  const acrossRounds = (edits * Math.max(0, edits - editsPerRound)) / 2;
  return Math.round(edits * (dInner + dModel) + withinRounds + acrossRounds);
}

function editRows({ round, validation, ancestors }: RoundReportRequest): EditRow[] {
  return round.edits.map((edit, e) => {
    const measured = validation.measurements[e];
    const shares = round.writtenShare.map((share) => share[e]);
    const firedBy = measured.firing && round.state.editIds[measured.firing.editIndex];
    return {
      id: edit.id,
      subject: edit.subject,
      prompt: edit.prompt,
      targetNew: edit.targetNew,
      targetTrue: edit.targetTrue ?? null,
      before: validation.before[e].text,
      after: validation.answers[e].text,
      reliability: measured.reliability,
      paraphrasesRight: measured.generality.filter((share) => share === 1).length,
      paraphrasesTotal: measured.generality.length,
      neighborhoodKept: measured.locality.filter((share) => share === 1).length,
      neighborhoodTotal: measured.locality.length,
      firedBy: firedBy ?? null,
      similarity: measured.firing?.strength,
      writtenShare: shares.reduce((sum, share) => sum + share, 0) / shares.length,
      round: ancestors.length + 1,
      status: measured.reliability === 1 ? 'applied' : 'failed',
    };
  });
}
