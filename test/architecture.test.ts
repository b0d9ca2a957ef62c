import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { brokenRules, overfullRooms, type Sources, unusedFaceNames } from './support/architecture-rules.js';

const root = fileURLToPath(new URL('..', import.meta.url));

function sourcesOfProject(): Sources {
  const paths = ['src', 'functions', 'containers', 'cdk'].flatMap((folder) => {
    const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
    return names.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name.replaceAll('\\', '/')}`);
  });
  return new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')]));
}

const checked = (sources: Record<string, string>) => brokenRules(new Map(Object.entries(sources)));

describe('the layout', () => {
  const sources = sourcesOfProject();

  it('keeps its arrows, faces and fences and has no import cycle', () => {
    expect(sources.size).toBeGreaterThan(100);
    expect(brokenRules(sources)).toEqual([]);
  });

  it('has no room above its share of the lines', () => {
    expect(overfullRooms(sources)).toEqual([]);
  });

  it('has no name in a face that only its own room or a test uses', () => {
    expect(unusedFaceNames(sources)).toEqual([]);
  });
});

describe('the check of the layout', () => {
  it('finds an import against an arrow, whatever the kind of import', () => {
    const bodies = [
      "import { a } from '../graph/index.js';",
      "import type { A } from '../graph/index.js';",
      "export * from '../graph/index.js';",
      "export const a = await import('../graph/index.js');",
      "export type A = import('../graph/index.js').A;",
    ];
    for (const body of bodies) {
      const rule = 'src/tensor/a.ts: tensor imports only rooms before it, got src/graph/index.ts';
      expect(checked({ 'src/tensor/a.ts': body }), body).toEqual([rule]);
    }
  });

  it('finds what the folders beside src import past its faces', () => {
    const face = "import '../src/workflow/index.js'; import '../src/workflow/contract.js'; import './b.js';";
    expect(checked({ 'functions/a.ts': face, 'containers/a.ts': face })).toEqual([]);
    expect(checked({ 'functions/a.ts': "import '../src/workflow/stages/plan.js';" })).toHaveLength(1);
    expect(checked({ 'cdk/a.ts': "import '../src/registry/keys.js'; import 'aws-cdk-lib';" })).toEqual([]);
    expect(checked({ 'cdk/a.ts': face })).toEqual([
      'cdk/a.ts: imports ^src\\/(workflow\\/contract|registry\\/keys)\\.ts$ of src, got src/workflow/index.ts',
    ]);
    expect(checked({ 'src/cli/a.ts': "import '../../functions/a.js';" })).toHaveLength(1);
    expect(checked({ 'functions/a.ts': "import 'aws-cdk-lib/aws-iam'; import '@aws-sdk/client-sfn';" })).toHaveLength(
      1,
    );
  });

  it('finds an import past a face, and one of the package face', () => {
    expect(checked({ 'src/graph/a.ts': "import '../tensor/tensor.js'; import '../tensor/index.js';" })).toEqual([
      'src/graph/a.ts: imports the face src/tensor/index.ts, got src/tensor/tensor.ts',
    ]);
    expect(checked({ 'src/evaluation/report/a.ts': "import '../../index.js'; import '../b.js';" })).toEqual([
      'src/evaluation/report/a.ts: imports a room of src or src/errors.ts or src/json.ts or src/progress.ts or src/home-folder.ts, got src/index.ts',
    ]);
    expect(checked({ 'src/errors.ts': "import './tensor/index.js';" })).toHaveLength(1);
    const light = "export { a } from './registry/index.js'; export * from './errors.js';";
    expect(checked({ 'src/client.ts': light })).toEqual([]);
    expect(checked({ 'src/client.ts': `${light} export { b } from './model/index.js';` })).toEqual([
      'src/client.ts: imports src/registry/index.ts, got src/model/index.ts',
    ]);
    expect(checked({ 'src/index.ts': "export { a } from './cli/index.js'; export * from './errors.js';" })).toEqual([]);
  });

  it('finds a fenced package, its subpaths, and printing outside the command line', () => {
    const body = "import 'onnxruntime-node'; import 'echarts/core'; console.log(1); process.stderr.write('');";
    const found = checked({ 'src/model/a.ts': body });
    expect(found).toHaveLength(3);
    expect(found[0]).toBe('src/model/a.ts: onnxruntime-node only in ^src\\/runtime\\/');
    expect(checked({ 'src/model/a.ts': '// console.log\nprocess.env;' })).toEqual([]);
    expect(checked({ 'src/cli/a.ts': 'console.log(process.stdout);' })).toEqual([]);
  });

  it('finds a cycle between files, also of types alone, and folders without a place', () => {
    const cycle = { 'src/graph/a.ts': "import './b.js';", 'src/graph/b.ts': "import type { A } from './a.js';" };
    const got = 'src/graph/a.ts -> src/graph/b.ts -> src/graph/a.ts';
    expect(checked(cycle)).toEqual([`src/graph/a.ts: no import cycle, got ${got}`]);
    expect(checked({ 'src/cellar/a.ts': '', 'src/graph/attic/a.ts': '' })).toEqual([
      'src/cellar: a folder with a place in the arrows, got none',
      'src/graph/attic: a folder with a place in the arrows, got none',
    ]);
  });

  it('finds JSON that is parsed without a limit of its depth', () => {
    expect(checked({ 'src/model/a.ts': "JSON.parse('1');" })).toEqual([
      'src/model/a.ts: JSON.parse only in ^(src\\/json\\.ts$|src\\/server\\/page\\/|cdk\\/)',
    ]);
    expect(checked({ 'src/json.ts': "JSON.parse('1');", 'src/model/a.ts': 'JSON.stringify(1);' })).toEqual([]);
  });

  it('finds an arrow that runs back inside a room, and who imports a leaf', () => {
    expect(checked({ 'src/workflow/queue/a.ts': "import '../plan/b.js';" })).toEqual([
      'src/workflow/queue/a.ts: queue of workflow imports only what is before it, got src/workflow/plan/b.ts',
    ]);
    expect(checked({ 'src/workflow/plan/a.ts': "import '../queue/b.js'; import '../c.js';" })).toEqual([]);
    expect(checked({ 'src/server/a.ts': "import '../estimate/index.js';" })).toEqual([
      'src/server/a.ts: estimate is imported by cli alone, got server',
    ]);
  });

  it('finds a room that is too large, and a name in a face that nobody else uses', () => {
    const large = {
      'src/graph/a.ts': '\n'.repeat(13),
      'src/tensor/a.ts': '\n'.repeat(11),
      'cdk/a.ts': '\n'.repeat(76),
    };
    expect(overfullRooms(new Map(Object.entries(large)))).toEqual([
      'src/graph: at most 12.0 % of all lines, got 13.0 %',
    ]);
    const face = {
      'src/tensor/index.ts': "export { a, b } from './a.js';",
      'src/graph/a.ts': "import { a } from '../tensor/index.js';",
    };
    expect(unusedFaceNames(new Map(Object.entries(face)))).toEqual([
      'src/tensor/index.ts: names that other rooms use, got b',
    ]);
  });
});
