import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { brokenRules, type Sources } from './support/architecture-rules.js';

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
  it('keeps its arrows, faces and fences and has no import cycle at run time', () => {
    const sources = sourcesOfProject();
    expect(sources.size).toBeGreaterThan(100);
    expect(brokenRules(sources)).toEqual([]);
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
      const rule = 'src/tensor/a.ts: tensor imports only folders before it, got src/graph/index.ts';
      expect(checked({ 'src/tensor/a.ts': body }), body).toEqual([rule]);
    }
  });

  it('finds what the folders beside src import past its faces', () => {
    const face = "import '../src/pipeline/index.js'; import '../src/pipeline/contract.js'; import './b.js';";
    expect(checked({ 'functions/a.ts': face, 'containers/a.ts': face })).toEqual([]);
    expect(checked({ 'functions/a.ts': "import '../src/pipeline/stages/plan.js';" })).toHaveLength(1);
    expect(checked({ 'cdk/a.ts': "import '../src/registry/keys.js'; import 'aws-cdk-lib';" })).toEqual([]);
    expect(checked({ 'cdk/a.ts': face })).toEqual([
      'cdk/a.ts: imports ^src\\/(pipeline\\/contract|registry\\/keys)\\.ts$ of src, got src/pipeline/index.ts',
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
      'src/evaluation/report/a.ts: imports a folder of src or src/errors.ts, got src/index.ts',
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

  it('finds a cycle between files, unless only types make it, and folders without a place', () => {
    const cycle = { 'src/graph/a.ts': "import './b.js';", 'src/graph/b.ts': "import './a.js';" };
    const got = 'src/graph/a.ts -> src/graph/b.ts -> src/graph/a.ts';
    expect(checked(cycle)).toEqual([`src/graph/a.ts: no import cycle, got ${got}`]);
    const types = { ...cycle, 'src/graph/b.ts': "import type { A } from './a.js';" };
    expect(checked(types)).toEqual([]);
    const many = Object.fromEntries(Array.from({ length: 13 }, (_, i) => [`src/folder${i}/index.ts`, '']));
    expect(checked(many)[0]).toBe('src: at most twelve folders, got 13');
    expect(checked(many)).toHaveLength(14);
  });
});
