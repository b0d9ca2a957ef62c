/** @file The Markdown that a reader of the project meets, taken apart. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** A page by its path from the root. */
export interface Page {
  readonly path: string;
  /** Without its code blocks. */
  readonly prose: string;
  /** Contents of its code blocks, pictures left out. */
  readonly blocks: readonly string[];
  /** Contents of its code spans. */
  readonly spans: readonly string[];
}

const below = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`);

const paths = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', ...below('docs'), ...below('examples')];

export const pages: readonly Page[] = paths.map((path) => pageOf(path, readFileSync(join(root, path), 'utf8')));

/** Takes Markdown apart. */
export function pageOf(path: string, text: string): Page {
  const blocks: string[] = [];
  const prose = text.replace(/^```(\w*)\n([\s\S]*?)^```$/gm, (_, language: string, block: string) => {
    if (language !== 'mermaid') blocks.push(block);
    return '';
  });
  return { path, prose, blocks, spans: [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span) };
}

/** Anchors of a page's headings, by GitHub's rules: of headings that read alike, the later ones are numbered. */
export function anchorsOf({ prose }: Pick<Page, 'prose'>): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading] of prose.matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const shown = heading.replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = shown.replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '').replaceAll(' ', '-');
    let unique = anchor;
    for (let number = 1; anchors.has(unique); number++) unique = `${anchor}-${number}`;
    anchors.add(unique);
  }
  return anchors;
}
