import type { NotRestored, Revocation } from '../../rounds/index.js';
import type { Terminal } from '../terminal/terminal.js';
import { ratioAsText } from './metric.js';
import { printReportPlace } from './round-tables.js';

/** The JSON form of a revocation. */
export function revocationAsJson({ published, base, measures, notRestored }: Revocation, modelId: string) {
  const { revoked, changes, drift } = measures;
  return {
    modelId,
    base,
    version: published.version,
    revoked: revoked.map(({ edit, before, after, agreement, texts, firedBy }) => ({
      id: edit.id,
      subject: edit.subject,
      prompt: edit.prompt,
      targetNew: edit.targetNew,
      reliability: { before: before.reliability, after: after.reliability },
      generality: { before: before.generality, after: after.generality },
      baseAgreement: agreement,
      texts,
      firedBy,
    })),
    kept: { edits: measures.kept.length, changes },
    drift,
    notRestored,
    metrics: published.manifest.metrics,
  };
}

/** The store of the version, and its model. */
interface Place {
  readonly store: string;
  readonly modelId: string;
  /** The model's directory. */
  readonly model?: string;
}

/** Prints the effects of a revocation on the revoked edits and on the remaining ones. */
export function printRevocation(terminal: Terminal, done: Revocation, place: Place): void {
  const { published, base, measures } = done;
  const { version } = published;
  const gone = `${measures.revoked.length} revoked, ${measures.kept.length} left`;
  terminal.print(terminal.colors.bold(`${place.modelId}: version ${base} -> version ${version}, ${gone}`));
  printRevoked(terminal, measures.revoked);
  terminal.print();
  printKept(terminal, measures);
  if (measures.drift !== null) {
    const { perplexityRatio, swapRate } = measures.drift;
    terminal.print(
      `ordinary text: perplexity x${perplexityRatio.toFixed(4)} of the base model, ` +
        `the gate is open on ${(100 * swapRate).toFixed(2)} % of tokens`,
    );
  }
  terminal.print();
  printNotRestored(terminal, done.notRestored, place);
  printReportPlace(terminal, { ...place, version });
  terminal.note(
    `nothing was deleted; to undo: hookline rollback ${base} --store ${place.store} --model-id ${place.modelId}`,
  );
}

/** Lists earlier edits that the revocation did not restore, with the command that would write them again. */
export function printNotRestored(
  terminal: Terminal,
  lost: readonly NotRestored[],
  { store, modelId, model = '<dir>' }: Place,
): void {
  if (lost.length === 0) return;
  for (const { revokedId, earlier } of lost) {
    terminal.print(`${revokedId} had overwritten ${earlier.id} (${earlier.targetNew}), which does not come back`);
  }
  const command = `hookline edit again.jsonl --model ${model} --store ${store} --model-id ${modelId}`;
  terminal.print(`to write that again: ${command}, where again.jsonl holds`);
  for (const { earlier } of lost) {
    const { subject, prompt, targetNew } = earlier;
    terminal.print(`  ${JSON.stringify({ subject, prompt, targetNew })}`);
  }
}

/** The most revoked edits that are shown; the report has them all. */
const shownRevoked = 20;

function printRevoked(terminal: Terminal, revoked: Revocation['measures']['revoked']): void {
  terminal.table(
    ['revoked', 'prompt', 'target', 'reliability', 'as base', 'says now', 'gate now'],
    revoked
      .slice(0, shownRevoked)
      .map(({ edit, before, after, agreement, texts, firedBy }) => [
        edit.id,
        edit.prompt.replace('{}', () => edit.subject),
        edit.targetNew,
        `${ratioAsText(before.reliability)} -> ${ratioAsText(after.reliability)}`,
        ratioAsText(Math.min(...agreement)),
        texts.after.replace(/\s+/g, ' ').trim(),
        firedBy ?? 'closed',
      ]),
  );
  const rest = revoked.length - shownRevoked;
  if (rest > 0) terminal.print(`and ${rest} more, which the report shows`);
}

function printKept(terminal: Terminal, { kept, changes }: Revocation['measures']): void {
  if (kept.length === 0) {
    terminal.print('no edit is left: the model answers as the base model does');
    return;
  }
  terminal.table(
    ['the others', 'before', 'after', 'fell', 'worst change'],
    changes.map(({ metric, before, after, fallen, worst }) => [
      metric === 'sameSubjectLocality' ? 'same subject' : metric,
      ratioAsText(before),
      ratioAsText(after),
      before === null ? undefined : fallen,
      worst === null ? undefined : `${worst.id}: ${ratioAsText(worst.before)} -> ${ratioAsText(worst.after)}`,
    ]),
  );
}
