import type { DraftEdit, ManifestDraft } from '../../src/registry/index.js';
import type { Segment } from '../../src/registry/manifest.js';

/** An edit of a small made-up fact. */
export const draftEdit = (id: string, more: Partial<DraftEdit> = {}): DraftEdit => ({
  id,
  subject: `subject of ${id}`,
  prompt: '{} lives in',
  targetNew: `target of ${id}`,
  status: 'active',
  ...more,
});

/** A draft that stands on `segments` and holds `edits`. */
export const manifestDraft = (edits: readonly DraftEdit[], segments: readonly Segment[] = []): ManifestDraft => ({
  modelDigest: 'a'.repeat(64),
  hyperparameters: { momentWeight: 0.5, clampNormFactor: 4 },
  layers: [3, 4],
  dModel: 8,
  dInner: 16,
  gate: { kind: 'key', thresholds: { 3: 0.6, 4: 0.6 } },
  statistics: { 3: 'b'.repeat(64), 4: 'c'.repeat(64) },
  segments: [...segments],
  metrics: { reliability: 0.9, retention: [{ round: 1, reliability: 0.8 }] },
  edits,
});
