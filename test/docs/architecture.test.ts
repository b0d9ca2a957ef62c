import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './pages.js';

const text = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** Arrows of the picture: `a --> b & c`. */
const drawn = [...text.matchAll(/^ +(\w+) (?:-->|-\. .* \.->) (.+)$/gm)].flatMap(([, from, to]) =>
  to.split(' & ').map((room) => `${from} ${room}`),
);

const roomOf = (path: string) => /^(?:src\/)?((?!src\/)[^/]+)\//.exec(path)?.[1];

/** Arrows of the code. */
const real = new Set(
  ['src', 'functions', 'containers', 'cdk'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => {
        const path = `${folder}/${name}`;
        const imports = read(path).matchAll(/(?:from|import\() ?'(\.[^']+)'/g);
        const rooms = [...imports].map(([, target]) => roomOf(join(dirname(path), target)));
        return rooms.filter((room) => room !== undefined).map((room) => `${roomOf(path)} ${room}`);
      })
      .filter((arrow) => !arrow.startsWith('undefined') && new Set(arrow.split(' ')).size === 2),
  ),
);

/** Whether the picture leads from one room to another. */
function leadsTo(from: string, to: string): boolean {
  const next = drawn.filter((arrow) => arrow.startsWith(`${from} `)).map((arrow) => arrow.split(' ')[1]);
  return next.includes(to) || next.some((room) => leadsTo(room, to));
}

describe('the page on the architecture', () => {
  it('draws every arrow of the code, and none that the code lacks', () => {
    expect(real.size).toBeGreaterThan(30);
    expect([...real].filter((arrow) => !leadsTo(...(arrow.split(' ') as [string, string])))).toEqual([]);
    expect(drawn.filter((arrow) => !real.has(arrow))).toEqual([]);
  });

  it('lists every room with names that its face has', () => {
    const rows = [...text.matchAll(/^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$/gm)];
    const rooms = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(rows.map(([, room]) => room).sort()).toEqual(rooms.map(({ name }) => name).sort());
    const unknown = rows.flatMap(([, room, offered]) => {
      const names = [...offered.matchAll(/`(\w+)`/g)].map(([, name]) => name);
      return names.filter((name) => !new RegExp(`\\b${name}\\b`).test(read(`src/${room}/index.ts`)));
    });
    expect(unknown).toEqual([]);
  });
});
