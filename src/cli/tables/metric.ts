import type { JsonValue } from '../../registry/index.js';

/** Finds a manifest's metric by its name; undefined if it was not measured. */
export function metricOf(metrics: JsonValue, name: string): number | undefined {
  if (typeof metrics !== 'object' || metrics === null || Array.isArray(metrics)) return undefined;
  const value = metrics[name];
  return typeof value === 'number' ? value : undefined;
}

/** A share or ratio to three decimals; undefined if it is missing, which tables show as a dash. */
export const ratioAsText = (value: number | null | undefined): string | undefined => value?.toFixed(3);

/** A share as a percentage to two significant digits. */
export const percentAsText = (share: number): string => `${Number((100 * share).toPrecision(2))} %`;
