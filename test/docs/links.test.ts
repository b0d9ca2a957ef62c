import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { anchorsOf, type Page, pageOf, pages, root } from './pages.js';

/** Links of a page that lead nowhere. */
function brokenLinks(own: Page): string[] {
  const { path, prose } = own;
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link]) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [file, anchor] = link.split('#');
    const target = file === '' ? path : join(dirname(path), file);
    const page = [own, ...pages].find((candidate) => candidate.path === target);
    const isThere = (page ?? existsSync(join(root, target))) && (!anchor || (page && anchorsOf(page).has(anchor)));
    return isThere ? [] : [`${path}: ${link}`];
  });
}

/** Sentences of over 40 characters that stand in two pages. A page's title may be the text of links to it. */
function repeated(all: readonly Page[]): string[] {
  const places = new Map<string, Set<string>>();
  for (const { path, prose } of all) {
    for (const sentence of prose
      .replace(/^#.*$/gm, '')
      .replaceAll('\n', '|')
      .split(/(?<=[.!?:;])\s+|\|/)) {
      const words = sentence.replace(/\]\([^)]*\)|[*`[\]#>!-]/g, '').trim();
      if (words.length > 40) places.set(words, (places.get(words) ?? new Set()).add(path));
    }
  }
  return [...places].flatMap(([words, where]) => (where.size > 1 ? [`${[...where].join(', ')}: ${words}`] : []));
}

describe('the pages', () => {
  it('link to what is there', () => {
    expect(pages.length).toBeGreaterThan(20);
    expect(pages.flatMap(brokenLinks)).toEqual([]);
  });

  it('say a thing once', () => {
    expect(repeated(pages)).toEqual([]);
  });

  it('begin with a README that is read to its end', () => {
    expect(readFileSync(join(root, 'README.md'), 'utf8').split('\n').length - 1).toBeLessThanOrEqual(160);
  });
});

describe('the check of the pages', () => {
  it('finds a missing file and a missing heading', () => {
    const page = pageOf('docs/new.md', '# A\n[a](#a) [b](batches.md#the-file) [c](#c) [d](d.md) [e](batches.md#e)\n');
    expect(brokenLinks(page)).toEqual(['docs/new.md: #c', 'docs/new.md: d.md', 'docs/new.md: batches.md#e']);
  });

  it("makes anchors as GitHub does, of the text that is shown and not of a block's comment", () => {
    const text = "# The paper's `W k` (v2)\n## [A link](x.md) - and more\n## A\n## A\n```sh\n# no heading\n```\n";
    expect([...anchorsOf(pageOf('a.md', text))]).toEqual(['the-papers-w-k-v2', 'a-link---and-more', 'a', 'a-1']);
  });

  it('finds a sentence in two pages, whatever is marked in it', () => {
    const said = (path: string, text: string) => pageOf(path, `Short. ${text}\n`);
    const all = [
      said('a.md', 'A version ships **its own** rows and no others at all.'),
      said('b.md', '- A version ships [its own](x.md) rows and no others at all.'),
    ];
    expect(repeated(all)).toEqual(['a.md, b.md: A version ships its own rows and no others at all.']);
  });
});
