import type { EditRow, ReportData } from '../../../src/evaluation/report/report-data.js';

/** A text that must never become markup. */
export const hostile = `<script>document.title='owned'</script><img src=x onerror="document.title='owned'">'"&`;

export const emptyReport: ReportData = {
  title: 'Empty',
  model: { name: 'none', digest: '', hookedLayers: [], dModel: 0, dInner: 0 },
  version: 1,
  createdAt: 'yesterday',
  hyperparameters: {},
  rounds: [],
  gates: [],
  layers: [],
  edits: [],
  rejectedEdits: [],
  rejected: [],
  notes: [],
};

const edit: EditRow = {
  id: 'a',
  subject: 'Ada',
  prompt: 'The home of {} is',
  targetNew: 'Oslo',
  targetTrue: 'Rome',
  before: ' Rome, where',
  after: ' Oslo.',
  said: true,
  inChat: false,
  chatText: ' In Rome.',
  reliability: 1,
  paraphrasesRight: 1,
  paraphrasesTotal: 2,
  neighborhoodKept: 10,
  neighborhoodTotal: 10,
  firedBy: 'a',
  similarity: 0.98765,
  writtenShare: 0.87,
  round: 1,
  status: 'applied',
};

/** A report with every section; all texts from outside are hostile in one place. */
export const fullReport: ReportData = {
  title: `Report ${hostile}`,
  model: { name: hostile, digest: `sha256:${hostile}`, hookedLayers: [1, 2], dModel: 576, dInner: 1536 },
  version: 2,
  parent: 1,
  createdAt: '2026-05-02T10:11:12.000Z',
  hyperparameters: { [hostile]: hostile, learningRate: 0.5, layers: [1, 2] },
  rounds: [
    {
      round: 1,
      version: 1,
      newEdits: 2,
      reliability: 1,
      generality: Number.NaN,
      perplexityRatio: 1.0712,
      seconds: 125,
    },
    {
      round: 2,
      version: 2,
      newEdits: 2,
      reliability: 0.9512,
      generality: 0.5,
      locality: 0.999,
      retention: 0.99,
      said: 0.5,
      klToBase: 2e-5,
    },
  ],
  counterfact: { efficacySuccess: 0.995, paraphraseSuccess: 0.9, neighborhoodSuccess: null, score: 0.8 },
  gates: [{ gate: 'key', reliability: 0.9 }, { gate: 'none' }],
  gateSeparation: {
    edit: [0.9, 1],
    paraphrase: [],
    neighborhood: [0.2, Number.NaN],
    text: [0.1, -0.2],
    threshold: 0.6,
  },
  layers: [{ layer: 1, edits: 4, relativeChange: 0.0061, sizeBytes: 1_253_000 }],
  valueSearch: { steps: [12, 14], losses: [0.05, 0.2] },
  edits: [
    edit,
    { ...edit, id: hostile, subject: hostile, targetNew: hostile, before: hostile, after: hostile, firedBy: hostile },
    { ...edit, id: 'c', status: 'failed', round: 2, reliability: 0, firedBy: null, similarity: undefined },
    { id: 'd', subject: 'Bo', prompt: '{}', targetNew: 'x', round: 2, status: 'applied', firedBy: 'a' },
  ],
  rejectedEdits: [{ id: 'e', subject: hostile, prompt: '{} is', targetNew: hostile, reason: `said ${hostile}` }],
  required: { reliability: 0.9, said: 0.9, locality: 0.9, retention: 0.9, perplexityRatio: 1.05 },
  rejected: [{ lineNumber: 3, reason: hostile, excerpt: hostile }],
  notes: [hostile],
};
