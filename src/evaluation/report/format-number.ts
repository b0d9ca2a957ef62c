/** @file Numbers for readers; what was not measured is an en dash. */
import type { Metric } from './report-data.js';

export const NOT_MEASURED = '–';
const NARROW_SPACE = '\u202f';
const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** Whether a metric was measured. */
export function isMeasured(metric: Metric): metric is number {
  return typeof metric === 'number' && Number.isFinite(metric);
}

/** A share of 0..1 as percent: `0.9512` is `95.1 %`; small ones keep two digits. */
export function percent(share: Metric): string {
  if (!isMeasured(share)) return NOT_MEASURED;
  const value = 100 * share;
  const digits = value === 0 || value === 100 ? 0 : Math.abs(value) < 1 ? 2 : 1;
  return `${grouped(value, digits)}${NARROW_SPACE}%`;
}

/** A ratio: `1.0712` is `×1.071`. */
export function ratio(value: Metric): string {
  return isMeasured(value) ? `×${grouped(value, value < 10 ? 3 : 1)}` : NOT_MEASURED;
}

/** A number with about three digits that matter; very small and very large ones in powers of ten. */
export function decimal(value: Metric): string {
  if (!isMeasured(value)) return NOT_MEASURED;
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return grouped(value, 0);
  if (size < 1e-3 || size >= 1e9) return value.toExponential(2).replace('-', '−').replace('e+', 'e');
  return grouped(value, Math.max(0, 2 - Math.floor(Math.log10(size))));
}

/** A setting: four digits at most, no trailing zeros. */
export function plain(value: Metric): string {
  if (!isMeasured(value)) return NOT_MEASURED;
  return Number.isInteger(value) ? decimal(value) : String(Number(value.toPrecision(4))).replace('-', '−');
}

/** A duration: `12.3 s`, `2 min 5 s`. */
export function seconds(value: Metric): string {
  if (!isMeasured(value)) return NOT_MEASURED;
  const whole = Math.round(value);
  if (whole < 60) return `${grouped(value, value < 10 ? 2 : 1)}${NARROW_SPACE}s`;
  return `${grouped(Math.floor(whole / 60), 0)}${NARROW_SPACE}min ${whole % 60}${NARROW_SPACE}s`;
}

/** A size in decimal units: `1.25 MB`. */
export function bytes(value: Metric): string {
  if (!isMeasured(value)) return NOT_MEASURED;
  const unit = Math.min(BYTE_UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  return `${grouped(value / 1000 ** unit, unit === 0 ? 0 : 2)}${NARROW_SPACE}${BYTE_UNITS[unit]}`;
}

/** Whether something holds. */
export function yesNo(holds: boolean | null | undefined): string {
  return holds == null ? NOT_MEASURED : holds ? 'yes' : 'no';
}

/** A count of a total: `3/4`. */
export function fraction(part: Metric, total: Metric): string {
  return isMeasured(part) && isMeasured(total) && total > 0 ? `${part}/${total}` : NOT_MEASURED;
}

function grouped(value: number, digits: number): string {
  const text = value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, NARROW_SPACE);
  return text.replace('-', '−');
}
