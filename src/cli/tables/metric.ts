import type { JsonValue } from '../../registry/index.js';

/** Finds a manifest's metric by its name; undefined if it was not measured. */
export function metricOf(metrics: JsonValue, name: string): number | undefined {
  if (typeof metrics !== 'object' || metrics === null || Array.isArray(metrics)) return undefined;
  const value = metrics[name];
  return typeof value === 'number' ? value : undefined;
}

/** How many edits a version's own round wrote, less those that it revoked. @param ownEdits those that it wrote */
export function newEdits(ownEdits: number, metrics: JsonValue): number {
  if (typeof metrics !== 'object' || metrics === null || Array.isArray(metrics)) return ownEdits;
  return ownEdits - (metricOf(metrics.revocation ?? null, 'edits') ?? 0);
}

/** Whether something holds; undefined if that is not known, which tables show as a dash. */
export const yesOrNo = (holds: boolean | undefined): string | undefined =>
  holds === undefined ? undefined : holds ? 'yes' : 'no';

/** A share or ratio to three decimals; undefined if it is missing, which tables show as a dash. */
export const ratioAsText = (value: number | null | undefined): string | undefined => value?.toFixed(3);

/** A share as a percentage to two significant digits. */
export const percentAsText = (share: number): string => `${Number((100 * share).toPrecision(2))} %`;
