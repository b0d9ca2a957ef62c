import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reportPage } from '../../src/evaluation/report/report-page.js';
import { chromiumFlags, chromiumPath } from '../support/chromium.js';
import { patienceSeconds } from '../support/patience.js';
import { emptyReport, fullReport, hostile } from '../unit/evaluation/report-sample.js';

const name = chromiumPath
  ? 'the report in Chromium'
  : 'the report in Chromium, skipped because none was found and CHROMIUM_PATH names none';
describe.skipIf(chromiumPath === undefined)(name, () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'report-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }));

  /** The page after its scripts ran, and what it wrote to the console. */
  function open(page: string): { dom: string; messages: string[] } {
    const path = join(folder, 'report.html');
    writeFileSync(path, page);
    const flags = [...chromiumFlags, '--enable-logging=stderr', `--user-data-dir=${join(folder, 'profile')}`];
    const address = pathToFileURL(path).href;
    const run = spawnSync(chromiumPath!, [...flags, '--dump-dom', address], {
      encoding: 'utf8',
      timeout: 1000 * patienceSeconds,
    });
    expect(run.status).toBe(0);
    return { dom: run.stdout, messages: run.stderr.split('\n').filter((line) => line.includes('CONSOLE')) };
  }

  it('is watched: a page with an error in its script is noticed', () => {
    expect(open('<script>missing()</script>').messages).toHaveLength(1);
  });

  it('runs its script without a message, and nothing from outside', () => {
    const { dom, messages } = open(reportPage(fullReport));
    expect(messages).toEqual([]);
    expect(dom).toContain('data-ready="true"');
    expect(dom).toContain('4 of 4 edits');
    expect(dom.match(/<th[^>]*><button type="button">/g)).toHaveLength(12);
    expect(/<title>([^<]*)/.exec(dom)?.[1]).toContain('Report &lt;script&gt;');
    expect(dom).not.toContain(hostile);
  });

  it('sorts and filters the edits', () => {
    const act = `<script>
      const sortBy = (column) => document.querySelectorAll('#edits th button')[column].click();
      const ids = () => [...document.querySelectorAll('#edits tbody tr')].filter((row) => !row.hidden).map((row) => row.id.slice(0, 6));
      const seen = [];
      sortBy(7); seen.push(ids().join());
      sortBy(7); seen.push(ids().join());
      const status = document.getElementById('edit-status');
      status.value = 'applied'; status.dispatchEvent(new Event('change'));
      const filter = document.getElementById('edit-filter');
      filter.value = 'OSLO home'; filter.dispatchEvent(new Event('input'));
      seen.push(ids().join());
      document.title = seen.join(' ');
    </script>`;
    const unlocked = reportPage(fullReport)
      .replace(/<meta http-equiv[^>]*>/, '')
      .replace('</body>', () => `${act}</body>`);
    const { dom, messages } = open(unlocked);
    expect(messages).toEqual([]);
    const ascending = 'edit-c,edit-a,edit-<,edit-d'; // what was not measured comes last in both directions
    const title = /<title>([^<]*)/.exec(dom)?.[1].replaceAll('&lt;', '<');
    expect(title).toBe(`${ascending} edit-a,edit-<,edit-c,edit-d edit-a`);
  });

  it('opens an empty report without a message', () => {
    const { dom, messages } = open(reportPage(emptyReport));
    expect(messages).toEqual([]);
    expect(dom).toContain('data-ready="true"');
  });
});
