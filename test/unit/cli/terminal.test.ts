import { describe, expect, it } from 'vitest';
import { createTerminal, type OutputOptions } from '../../../src/cli/terminal/terminal.js';
import { RecordedStream } from './recorded-stream.js';

function recorded(options: OutputOptions, isTTY = false, environment: Record<string, string> = {}) {
  const output = new RecordedStream(isTTY);
  const errors = new RecordedStream(isTTY);
  const clock = { milliseconds: 0 };
  const terminal = createTerminal(options, { output, errors, environment, now: () => clock.milliseconds });
  return { terminal, output, errors, clock };
}

describe('a terminal', () => {
  it('keeps results and remarks apart', () => {
    const { terminal, output, errors } = recorded({});
    terminal.print('result');
    terminal.note('remark');
    terminal.json({ ignored: true });
    terminal.warn('careful');
    expect(output.text).toBe('result\n');
    expect(errors.text).toBe('remark\nwarning: careful\n');
  });

  it('prints nothing but one JSON value for scripts', () => {
    const { terminal, output, errors } = recorded({ json: true });
    terminal.print('result');
    terminal.table(['a'], [['b']]);
    terminal.note('remark');
    const bar = terminal.progress('work', 2, 'edits');
    bar.update(1);
    bar.finish();
    terminal.json({ share: 0.5 });
    expect(JSON.parse(output.text)).toEqual({ share: 0.5 });
    expect(errors.text).toBe('');
  });

  it('shows results and warnings only, when told to be quiet', () => {
    const { terminal, output, errors } = recorded({ quiet: true }, true);
    terminal.print('result');
    terminal.note('remark');
    terminal.progress('work', 2, 'edits').finish();
    terminal.warn('careful');
    expect(output.text).toBe('result\n');
    expect(errors.text).toContain('careful');
    expect(errors.text).not.toContain('work');
  });

  it('aligns columns of numbers to the right and shows what is missing as a dash', () => {
    const { terminal, output } = recorded({});
    terminal.table(
      ['version', 'edits', 'share'],
      [
        ['first', 5, '0.950'],
        ['second', 20, undefined],
        ['third', null, '100 %'],
      ],
    );
    expect(output.text).toBe(
      ['version  edits  share', 'first        5  0.950', 'second      20      –', 'third        –  100 %', ''].join(
        '\n',
      ),
    );
  });

  it('colours only where colours show and are wanted', () => {
    const heads = (isTTY: boolean, environment: Record<string, string> = {}) => {
      const { terminal, output } = recorded({}, isTTY, environment);
      terminal.table(['a'], [['b']]);
      return output.text;
    };
    const colored = '\u001b[';
    expect(heads(true)).toContain(colored);
    expect(heads(false)).not.toContain(colored);
    expect(heads(true, { NO_COLOR: '1' })).not.toContain(colored);
    expect(heads(true, { TERM: 'dumb' })).not.toContain(colored);
    expect(heads(false, { FORCE_COLOR: '1' })).toContain(colored);
    expect(heads(false, { FORCE_COLOR: '0' })).not.toContain(colored);
  });
});

describe('a progress bar', () => {
  it('shows share, count, rate, elapsed and remaining time without any timer', () => {
    const { terminal, errors, clock } = recorded({}, true);
    const bar = terminal.progress('values', 40, 'edits');
    clock.milliseconds = 4000;
    bar.update(10, '3 in work');
    expect(errors.screen).toEqual([
      '██████░░░░░░░░░░░░░░░░░░ values  25 % (10/40 edits, 2.5 edits/s, 4.0 s, 12 s left) 3 in work',
    ]);
    clock.milliseconds = 75_000;
    bar.update(40);
    bar.finish('all reached');
    expect(errors.screen).toEqual([
      '████████████████████████ values 100 % (40/40 edits, 0.53 edits/s, 1 min 15 s) all reached',
      '',
    ]);
  });

  it('counts the time of other work from the end of the work before, though it is told of only when some is done', () => {
    const { terminal, errors, clock } = recorded({}, true);
    const bar = terminal.progress('validate', 100, 'prompts');
    const told = (milliseconds: number, ...update: Parameters<typeof bar.update>) => {
      clock.milliseconds = milliseconds;
      bar.update(...update);
      return errors.screen[0].slice(25);
    };
    told(10_000, 100, 'edits', 100);
    expect(told(14_000, 8, 'text', 16)).toBe('validate  50 % (8/16 prompts, 2.0 prompts/s, 14 s, 4.0 s left) text');
    told(18_000, 16, 'text', 16);
    expect(told(20_000, 40, 'earlier', 80)).toBe(
      'validate  50 % (40/80 prompts, 20 prompts/s, 20 s, 2.0 s left) earlier',
    );
    bar.finish();
  });

  it('draws ten frames a second at most', () => {
    const { terminal, errors, clock } = recorded({}, true);
    const bar = terminal.progress('values', 1000, 'edits');
    for (let done = 1; done <= 1000; done++) {
      clock.milliseconds = done;
      bar.update(done);
    }
    expect(errors.text.split('\r').length - 1).toBe(1 + 10);
    bar.finish();
  });

  it('stays below lines that are written meanwhile, to either stream', () => {
    const output = new RecordedStream(true);
    const terminal = createTerminal({}, { output, errors: output, environment: { NO_COLOR: '1' }, now: () => 0 });
    const bar = terminal.progress('values', 2, 'edits');
    terminal.note('edit b overwrites edit a');
    terminal.print('result');
    expect(output.screen.slice(0, 2)).toEqual(['edit b overwrites edit a', 'result']);
    expect(output.screen[2]).toContain('values   0 %');
    bar.finish();
    terminal.print('end');
    expect(output.screen.at(-2)).toBe('end');
  });

  it('never wraps: it is cut to the width of the screen', () => {
    const output = new RecordedStream(true, 30);
    const terminal = createTerminal({}, { output, errors: output, environment: {}, now: () => 0 });
    terminal.progress('a long label of a stage', 2, 'edits').finish();
    expect(Math.max(...output.screen.map((line) => line.length))).toBe(29);
  });

  it('writes plain lines to a log, ten seconds apart, and one at the end', () => {
    const { terminal, errors, clock } = recorded({});
    const bar = terminal.progress('statistics', 60_000_000, 'bytes');
    for (let second = 1; second <= 25; second++) {
      clock.milliseconds = 1000 * second;
      bar.update(2_000_000 * second, undefined, 50_000_000);
    }
    bar.finish();
    expect(errors.text.split('\n')).toEqual([
      'statistics  40 % (20.0 MB of 50.0 MB, 2.00 MB/s, 10 s, 15 s left)',
      'statistics  80 % (40.0 MB of 50.0 MB, 2.00 MB/s, 20 s, 5.0 s left)',
      'statistics 100 % (50.0 MB of 50.0 MB, 2.00 MB/s, 25 s)',
      '',
    ]);
  });

  const hostile = 'evil\u001b[2J\u001b]0;title\u0007\u202etxt.exe\u2066\r\u009b31m\u007f';
  const plain = 'evil\\u001b[2J\\u001b]0;title\\u0007\\u202etxt.exe\\u2066';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  const raw = /(?![\n\t])[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

  it.each([
    {},
    { FORCE_COLOR: '1' },
  ])('shows control and bidirectional characters escaped, wherever they come from: %j', (environment) => {
    const { terminal, output, errors } = recorded({}, false, environment);
    const { bold, dim, green, red } = terminal.colors;
    terminal.print(hostile);
    terminal.print(`${bold(hostile)} ${dim(hostile)} ${green(hostile)} ${red(hostile)}`);
    terminal.table([hostile], [[hostile], [`two\nlines`]]);
    terminal.note(`${hostile}\nerror: a line of its own`);
    terminal.warn(`${hostile}\nerror: a line of its own`);
    const bar = terminal.progress(`${hostile}\nerror: ${hostile}`, 1, 'edits');
    bar.update(1, hostile);
    bar.finish(hostile);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
    const own = /\u001b\[\d+m/g;
    for (const { text } of [output, errors]) {
      expect(text.replaceAll(own, '')).not.toMatch(raw);
      expect(text.includes('\u001b')).toBe('FORCE_COLOR' in environment);
      expect(text).not.toMatch(/^error/m);
      expect(text.replaceAll(own, '')).toContain(plain);
    }
    expect(output.text).toContain('two\\nlines');
  });

  it('draws no control character of a text on its bottom line, and keeps colours within it', () => {
    const { terminal, errors } = recorded({}, true);
    const bar = terminal.progress(hostile, 2, 'edits');
    bar.finish(hostile);
    expect(errors.text.replaceAll('\r\u001b[K', '')).not.toMatch(raw);
  });

  it('prints JSON of the same value, with nothing that a terminal obeys', () => {
    const { terminal, output } = recorded({ json: true });
    terminal.json({ [hostile]: [hostile, 'a\nb\t'] });
    expect(output.text).not.toMatch(raw);
    expect(JSON.parse(output.text)).toEqual({ [hostile]: [hostile, 'a\nb\t'] });
  });
});
