import { type OutputStream, pinLine, unpinLine, writeLine } from './output-stream.js';
import { printableInLine } from './printable.js';

/** Shows a job's progress. It is drawn on updates, never by a timer, since computation blocks the event loop. */
export interface ProgressBar {
  /**
   * @param done how much of the total is done, in its unit
   * @param detail what is being worked on, in a few words
   * @param total the new total, if it has changed
   */
  update(done: number, detail?: string, total?: number): void;
  /** Ends the bar, as complete unless `update` said otherwise last. @param summary shown in place of the detail */
  finish(summary?: string): void;
}

interface ProgressOptions {
  readonly label: string;
  readonly total: number;
  /** Plural, such as `edits`; `bytes` are shown as kB, MB or GB. */
  readonly unit: string;
  readonly stream: OutputStream;
  readonly isShown: boolean;
  /** The clock, in milliseconds. */
  readonly now: () => number;
}

const millisecondsBetweenFrames = 100;
const millisecondsBetweenLogLines = 10_000;

/** Starts a bar on a screen; on any other stream, a line every ten seconds at most and one at the end. */
export function startProgress(options: ProgressOptions): ProgressBar {
  const { stream, now, isShown } = options;
  if (!isShown) return { update: () => {}, finish: () => {} };
  const started = now();
  const isScreen = stream.isTTY === true;
  const pause = isScreen ? millisecondsBetweenFrames : millisecondsBetweenLogLines;
  let { total } = options;
  let done = 0;
  let detail: string | undefined;
  let shownAt = started;
  /** A job may start over with other work, for which the earlier rate means nothing. This is when it last did. */
  let partStarted = started;
  let toldAt = started;
  const show = () => {
    shownAt = now();
    const job = {
      ...options,
      total,
      done,
      detail,
      seconds: (shownAt - started) / 1000,
      partSeconds: (shownAt - partStarted) / 1000,
    };
    if (isScreen) pinLine(stream, `${bar(done, total)} ${describe(job)}`);
    else writeLine(stream, printableInLine(describe(job)));
  };
  if (isScreen) show();
  return {
    update(nowDone, nowDetail, nowTotal = total) {
      const isOther = nowTotal !== total && nowDetail !== detail;
      if (nowDone < done || (isOther && done > 0)) partStarted = toldAt;
      toldAt = now();
      [done, detail, total] = [nowDone, nowDetail, nowTotal];
      if (now() - shownAt >= pause) show();
    },
    finish(summary) {
      detail = summary;
      show();
      unpinLine();
    },
  };
}

interface Job {
  readonly label: string;
  readonly unit: string;
  readonly total: number;
  readonly done: number;
  readonly detail: string | undefined;
  readonly seconds: number;
  /** Time since the job last started over. */
  readonly partSeconds: number;
}

/** `values 40 % (8/20 edits, 1.3 edits/s, 6 s, 9 s left) detail` */
function describe({ label, unit, total, done, detail, seconds, partSeconds }: Job): string {
  const rate = partSeconds > 0 ? done / partSeconds : 0;
  const parts = [
    unit === 'bytes' ? `${bytesAsText(done)} of ${bytesAsText(total)}` : `${done}/${total} ${unit}`,
    ...(rate > 0 ? [unit === 'bytes' ? `${bytesAsText(rate)}/s` : `${rateAsText(rate)} ${unit}/s`] : []),
    secondsAsText(seconds),
    ...(rate > 0 && done < total ? [`${secondsAsText((total - done) / rate)} left`] : []),
  ];
  const percentage = String(Math.floor(100 * shareOf(done, total))).padStart(3);
  return `${label} ${percentage} % (${parts.join(', ')})${detail ? ` ${detail}` : ''}`;
}

const barWidth = 24;

function bar(done: number, total: number): string {
  const filled = Math.round(barWidth * shareOf(done, total));
  return '█'.repeat(filled) + '░'.repeat(barWidth - filled);
}

const shareOf = (done: number, total: number): number => (total > 0 ? Math.min(1, Math.max(0, done / total)) : 1);

const rateAsText = (rate: number): string => (rate >= 100 ? rate.toFixed(0) : rate.toPrecision(2));

/** `0.8 s`, `42 s`, `3 min 05 s`, `2 h 07 min`. */
export function secondsAsText(seconds: number): string {
  const whole = Math.round(seconds);
  const twoDigits = (value: number) => String(Math.floor(value)).padStart(2, '0');
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${twoDigits(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${twoDigits((whole % 3600) / 60)} min`;
}

/** `512 B`, `8.1 MB`: powers of 1000. */
export function bytesAsText(sizeBytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = sizeBytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(sizeBytes) / 3));
  const value = sizeBytes / 1000 ** power;
  return `${power === 0 ? Math.round(value) : value.toPrecision(3)} ${units[power]}`;
}
