import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'hookline-lint-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** The lines that one of our rules refuses. */
function refusedLines(rule: string, lines: readonly string[]): string[] {
  writeFileSync(join(folder, 'biome.json'), JSON.stringify({ plugins: [resolve('lint', rule)] }));
  writeFileSync(join(folder, 'a.ts'), lines.join('\n'));
  const biome = resolve('node_modules/@biomejs/biome/bin/biome');
  const { stdout, stderr } = spawnSync(process.execPath, [biome, 'lint', 'a.ts'], {
    cwd: folder,
    encoding: 'utf8',
  });
  const places = [...`${stdout}${stderr}`.matchAll(/a\.ts:(\d+):\d+ plugin/g)];
  return places.map(([, line]) => lines[Number(line) - 1]).sort();
}

describe('the rules under lint/', () => {
  it('refuse the modifier private on members and parameter properties, not on constructors', () => {
    const refused = [
      '  private a = 1;',
      '  private static readonly b = 1;',
      '  declare private c: number;',
      '  private get d() { return 1; }',
      '  private set d(value: number) { this.a = value; }',
      '  private async e() {}',
      '    private readonly f: number,',
    ];
    const allowed = ['  #g = 1;', '  readonly h = 1;', '  static i() {}'];
    const parameter = refused.at(-1)!;
    const members = [...refused.slice(0, -1), ...allowed];
    const lines = [
      'class A {',
      ...members,
      '  private constructor(',
      parameter,
      '    readonly j: number,',
      '  ) {}',
      '}',
    ];
    expect(refusedLines('no-private-modifier.grit', lines)).toEqual(refused.sort());
  });

  it('refuse the spread of an object literal, not one under a condition', () => {
    const refused = ['  ...{ b: 1 },', '  ...{ ...rest, c: 1 },'];
    const allowed = ['  ...rest,', '  ...(rest && { d: 1 }),', '  ...(rest ? { e: 1 } : { f: 1 }),', '  g: [...[1]],'];
    const lines = ['const rest = {};', 'const a = {', ...refused, ...allowed, '};'];
    expect(refusedLines('no-literal-spread.grit', lines)).toEqual(refused.sort());
  });
});
