import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { hooklineProgram } from '../../src/cli/program.js';
import { pageOf, pages, root } from './pages.js';

/** The changelog also speaks of what is gone. */
const today = pages.filter(({ path }) => path !== 'CHANGELOG.md');
const program = await hooklineProgram();
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const { scripts } = JSON.parse(read('package.json')) as { readonly scripts: Readonly<Record<string, string>> };

type Code = Pick<(typeof pages)[number], 'path' | 'blocks' | 'spans'>;

/** Files of the project that are named and are not there. Placeholders, as in `functions/<stage>.ts`, are passed over. */
function missingFiles({ path, blocks, spans }: Code): string[] {
  const words = [...blocks, ...spans].flatMap((code) => code.split(/[\s'"`()]+/));
  const named = words.filter((word) =>
    /^(src|test|cdk|functions|containers|scripts|examples|docs)\/[^<*]*$/.test(word),
  );
  return named.flatMap((word) => {
    const file = word.replace(/[,;:.]+$/, '');
    return existsSync(join(root, file)) ? [] : [`${path}: ${file}`];
  });
}

const allOf = (command: Command): Command[] => [command, ...command.commands.flatMap(allOf)];
const optionsOf = (commands: readonly Command[]): Set<string> =>
  new Set(['--help', ...commands.flatMap(({ options }) => options.map(({ long }) => long ?? ''))]);

/** Options of a tool of the project, as its source declares them. */
const declaredIn = (path: string): Set<string> =>
  new Set([...read(path).matchAll(/^ +'?([\w-]+)'?: \{ type: '/gm)].map(([, name]) => `--${name}`));
const tools: Readonly<Record<string, Set<string>>> = {
  bench: declaredIn('test/bench/options.ts'),
  soak: declaredIn('test/soak/options.ts'),
};

/** What is wrong in a line that calls `hookline` or a script of the project. */
function wrongCall(line: string): string[] {
  const words = line
    .replace(/\s#.*$/, '')
    .replace(/[|&;].*$/, '')
    .split(/[\s'"]+/);
  const used = words.filter((word) => /^--[a-z]/.test(word)).map((word) => word.replace(/[=,.:)].*$/, ''));
  const lacking = (known: Set<string>) => used.filter((option) => !known.has(option));
  const run = words.indexOf('run');
  if (words[run - 1] === 'npm') {
    const script = words.slice(run + 1).find((word) => !word.startsWith('-')) ?? '';
    if (!(script in scripts)) return [`npm run ${script}`];
    return script in tools ? lacking(tools[script]) : [];
  }
  const at = words.indexOf('hookline');
  // Options on their own, or after a command without the program's name.
  const isForeign = at < 0 && !/^(--|(\w+ )+--)/.test(line);
  if (isForeign || /^(npm|npx|docker|pip|aws|python)\b/.test(line)) return [];
  if (at < 0) {
    const known = [optionsOf(allOf(program)), ...Object.values(tools)];
    return used.filter((option) => !known.some((options) => options.has(option)));
  }
  let command = program;
  for (const word of words.slice(at + 1)) {
    const next = command.commands.find((child) => child.name() === word || child.aliases().includes(word));
    if (next === undefined) {
      // A group takes a command of its own, or stands for any of them.
      if (command.commands.length > 0 && /^[a-z]/.test(word)) return [`hookline ... ${word}`];
      break;
    }
    command = next;
  }
  return lacking(optionsOf(allOf(command)));
}

function wrongCalls({ path, blocks, spans }: Code): string[] {
  const lines = blocks.flatMap((block) => block.replaceAll(/\\\n\s*/g, ' ').split('\n'));
  const calls = lines.filter((line) => /^(\$ |[A-Z_]+=\S+ )*(hookline|npm run|npx) /.test(line));
  return [...calls, ...spans].flatMap((line) => wrongCall(line).map((what) => `${path}: ${what} in ${line}`));
}

const sources = ['src', 'containers', 'test', 'cdk'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|sh)$/.test(name))
    .map((name) => read(`${folder}/${name}`)),
);

describe('the pages name', () => {
  it('files that exist', () => {
    expect(today.flatMap(missingFiles)).toEqual([]);
  });

  it('commands, options and scripts that exist', () => {
    expect(today.flatMap(wrongCalls)).toEqual([]);
  });

  it('environment variables that something reads', () => {
    const named = today.flatMap(({ spans, blocks }) => [...spans, ...blocks].join(' ').match(/HOOKLINE_\w+/g) ?? []);
    expect(named).toContain('HOOKLINE_STORE');
    expect([...new Set(named)].filter((name) => !sources.some((source) => source.includes(name)))).toEqual([]);
  });

  it('every command of the program', () => {
    const { blocks, spans } = pages.find(({ path }) => path === 'docs/commands.md')!;
    const code = [...spans, ...blocks].join('\n');
    const commands = program.commands.map((command) => command.name());
    expect(commands.length).toBeGreaterThan(20);
    expect(commands.filter((name) => !new RegExp(`\\b${name}\\b`).test(code))).toEqual([]);
  });
});

describe('the check of names', () => {
  it('finds files, commands, options and scripts that are not there', () => {
    const page = pageOf(
      'a.md',
      [
        '`src/cli/main.ts`, `src/gone.ts`, `functions/<stage>.ts`, `npx vitest run test/gone`',
        '`hookline edit --no-judge`, `hookline edit --judge-not`, `hookline editt`, `hookline model push`, `--no-judge`, `--gone`',
        '`npm run bench -- --quick --gone`, `npm run gone`, `npx cdk bootstrap --gone`, `hookline plan --edits 3`',
        '```sh\nhookline export lora ./x \\\n  --rank 3 --gone 4   # --also-gone\n```',
      ].join('\n'),
    );
    expect(missingFiles(page)).toEqual(['a.md: src/gone.ts', 'a.md: test/gone']);
    expect(wrongCalls(page).map((line) => line.split(' in ')[0].replace('a.md: ', ''))).toEqual([
      '--gone',
      '--judge-not',
      'hookline ... editt',
      'hookline ... push',
      '--gone',
      '--gone',
      'npm run gone',
    ]);
  });
});
