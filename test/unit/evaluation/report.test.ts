import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bytes,
  decimal,
  fraction,
  percent,
  plain,
  ratio,
  seconds,
} from '../../../src/evaluation/report/format-number.js';
import { extent, histogram, shares } from '../../../src/evaluation/report/histogram.js';
import { escapeHtml, html, Markup } from '../../../src/evaluation/report/html.js';
import type { ReportData } from '../../../src/evaluation/report/report-data.js';
import { reportPage } from '../../../src/evaluation/report/report-page.js';
import { emptyReport, fullReport, hostile } from './report-sample.js';

const plainSpaces = (text: string) => text.replaceAll('\u202f', ' ');
const withoutScript = (page: string) => page.replace(/<script>.*?<\/script>/s, '');

describe('numbers for readers', () => {
  it.each([undefined, null, Number.NaN, Number.POSITIVE_INFINITY])('writes %s as an en dash', (metric) => {
    const all = [percent, ratio, decimal, plain, seconds, bytes].map((format) => format(metric));
    expect(all).toEqual(Array(6).fill('–'));
    expect([fraction(metric, 2), fraction(1, metric), fraction(0, 0)]).toEqual(['–', '–', '–']);
  });

  it('keeps the digits that matter', () => {
    expect([0, 1, 0.9512, 0.0004].map(percent).map(plainSpaces)).toEqual(['0 %', '100 %', '95.1 %', '0.04 %']);
    expect([1.0712, 12.34].map(ratio).map(plainSpaces)).toEqual(['×1.071', '×12.3']);
    expect([0, 3, 0.123456, 12.3456, 1234567, 2e-5, -0.5].map(decimal).map(plainSpaces)).toEqual([
      '0',
      '3',
      '0.123',
      '12.3',
      '1 234 567',
      '2.00e−5',
      '−0.500',
    ]);
    expect([0.4, 0.0625, 15000, 614.4].map(plain).map(plainSpaces)).toEqual(['0.4', '0.0625', '15 000', '614.4']);
    expect([0.5, 12.34, 125, 59.7].map(seconds).map(plainSpaces)).toEqual([
      '0.50 s',
      '12.3 s',
      '2 min 5 s',
      '1 min 0 s',
    ]);
    expect([0, 999, 1000, 1_253_000].map(bytes).map(plainSpaces)).toEqual(['0 B', '999 B', '1.00 kB', '1.25 MB']);
    expect(fraction(3, 4)).toBe('3/4');
  });
});

describe('histogram', () => {
  it('counts every finite sample once, whatever the samples', () => {
    fc.assert(
      fc.property(fc.array(fc.double()), fc.integer({ min: 1, max: 50 }), (samples, bins) => {
        const counted = histogram(samples, -1, 1, bins);
        const finite = samples.filter(Number.isFinite).length;
        expect(counted.counts.reduce((sum, count) => sum + count, 0)).toBe(finite);
        if (finite > 0) expect(shares(counted).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
      }),
    );
  });

  it('puts an edge into the bin that it begins, and both ends inside', () => {
    expect(histogram([0, 0.1, 0.2, 0.3, 0.7, 1], 0, 1, 10).counts).toEqual([1, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
    expect(extent([2, Number.NaN, -1])).toEqual([-1, 2]);
    expect(extent([Number.NaN])).toBeUndefined();
  });
});

describe('html', () => {
  it('escapes texts, keeps markup, joins lists, drops nothing values', () => {
    const list = [html`<i>${'<'}</i>`, '&', 5];
    expect(html`<p title="${'"'}">${list}${null}${undefined}${false}</p>`.text).toBe(
      '<p title="&quot;"><i>&lt;</i>&amp;5</p>',
    );
    expect(new Markup('<b>').text).toBe('<b>');
  });

  it('leaves no character of any text that could open markup', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(0xffff)), (codes) => {
        const text = String.fromCharCode(...codes, 0x3c, 0x22, 0);
        expect(escapeHtml(text)).not.toMatch(/[<>"'\0\u0085]/);
      }),
    );
  });
});

describe('reportPage', () => {
  const page = plainSpaces(reportPage(fullReport));

  it('escapes every text from outside', () => {
    expect(page).toContain(escapeHtml(hostile));
    expect(page).not.toContain(hostile);
    expect(withoutScript(page)).not.toMatch(/<script|<img|onerror="/);
  });

  it('asks for nothing outside the file', () => {
    const addresses = [...page.matchAll(/(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)/g)].map(([, address]) => address);
    expect(addresses.filter((address) => !/^(?:#|data:|x$)/.test(address))).toEqual([]);
    expect(page).toContain('default-src &#39;none&#39;; style-src');
  });

  it('draws every chart in colours of the page, none of its own', () => {
    const drawings = [...page.matchAll(/<svg.*?<\/svg>/gs)].map(([drawing]) => drawing);
    expect(drawings).toHaveLength(5);
    for (const drawing of drawings) {
      const painted = drawing
        .match(/<(?:path|text|circle|rect|polyline|line)[^>]*>/g)!
        .filter((shape) => !/stroke-width="0"/.test(shape));
      const colors = painted.flatMap((shape) =>
        [...shape.matchAll(/(?:stroke|fill)="(#[^"]*|rgb[^"]*)"/g)].map(([, color]) => color),
      );
      expect(colors.filter((color) => !['#000', 'rgb(0,0,0)'].includes(color))).toEqual([]);
      expect(drawing).toContain('var(--');
    }
  });

  it('judges the last round and shows what was not measured as a dash', () => {
    const tile = (name: string) =>
      new RegExp(`<div class="tile (\\w*)">\\s*<div class="tile-name">${name}</div>\\s*<div class="tile-value">([^<]*)`)
        .exec(page)
        ?.slice(1);
    expect(tile('Reliability')).toEqual(['pass', '95.1 %']);
    expect(tile('Said')).toEqual(['fail', '50.0 %']);
    expect(tile('Generality')).toEqual(['', '50.0 %']);
    expect(tile('Swap rate')).toEqual(['unknown', '–']);
    expect(withoutScript(page)).not.toMatch(/NaN|undefined|null|Infinity/);
  });

  it('judges by the criteria that decided alone', () => {
    expect(reportPage({ ...fullReport, required: { said: 0.4 } })).not.toContain('tile fail');
    const { required: _, ...unjudged } = fullReport;
    expect(reportPage(unjudged)).not.toMatch(/tile (fail|pass)/);
  });

  it('says that none failed only where none did', () => {
    const lead = (data: ReportData) => plainSpaces(/<p class="lead">(.*?)<\/p>/.exec(reportPage(data))![1]);
    const [applied, , failed] = fullReport.edits;
    const report = { ...fullReport, rejected: [], rejectedEdits: [], edits: [applied] };
    expect(lead(report)).toBe('<strong>1 edit</strong> in round 2, none failed.');
    expect(lead({ ...report, edits: [applied, failed] })).toBe(
      '<strong>2 edits</strong> in round 2, <strong>1 failed</strong>.',
    );
    expect(lead({ ...report, rejectedEdits: fullReport.rejectedEdits })).toBe(
      '<strong>1 edit</strong> in round 2, <strong>1 rejected</strong>.',
    );
    const { required: _, ...unjudged } = report;
    expect(lead(unjudged)).toBe('<strong>1 edit</strong> in round 2, not judged.');
  });

  it('shows of every edit whether it is said, and in chat, and why others were rejected', () => {
    const row = /<tr id="edit-a".*?<\/tr>/s.exec(page)![0];
    expect(row).toMatch(/data-label="Said"[^>]*>yes</);
    expect(row).toMatch(/data-label="In chat"[^>]*>no</);
    expect(row).toContain('In Rome.');
    expect(page).toContain(`said ${escapeHtml(hostile)}`);
  });

  it('marks failed edits and links the edit that fired', () => {
    expect(page).toContain('<tr id="edit-c" data-status="failed">');
    expect(page).toContain('<a href="#edit-a">a</a>');
    expect(page).toContain('by itself');
  });

  it('renders a report in which nothing was measured', () => {
    const empty = reportPage(emptyReport);
    expect(empty).toContain('Nothing was edited.');
    expect(empty).not.toMatch(/<svg|<table|<h2/);
    const blank = { round: 1, version: 1, newEdits: 0 };
    const separation = { edit: [], paraphrase: [], neighborhood: [], text: [], threshold: 0.6 };
    const unmeasured = reportPage({
      ...emptyReport,
      rounds: [blank],
      gateSeparation: separation,
      valueSearch: { steps: [], losses: [] },
    });
    expect(withoutScript(unmeasured)).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('renders value searches without losses by their steps', () => {
    expect(reportPage({ ...fullReport, valueSearch: { steps: [3, 70], losses: [] } })).toContain('steps');
    expect(reportPage({ ...fullReport, valueSearch: { steps: [], losses: [0] } })).toContain('final loss');
  });
});
