import { type ExecFileOptionsWithStringEncoding, execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import typescript from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const { ScriptTarget, transpileModule } = typescript;

const asked = process.env.HOOKLINE_PACKAGE ?? '';
const name = asked === '' ? 'The packed tarball, skipped because HOOKLINE_PACKAGE is not set' : 'The packed tarball';
const withInstall = asked === 'install';
const installName = withInstall
  ? 'installs in an empty project and runs a model'
  : 'installs in an empty project, skipped because HOOKLINE_PACKAGE is not install: it needs the npm registry';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tsc = join(root, 'node_modules/typescript/bin/tsc');
/** ONNX Runtime's install script downloads, and may fail, on this platform only; the tarball has a copy for it. */
const hasCopy = process.platform === 'linux' && process.arch === 'x64';

interface Ended {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

function run(program: string, words: readonly string[], options: Partial<ExecFileOptionsWithStringEncoding> = {}) {
  return new Promise<Ended>((resolve) => {
    execFile(program, words, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26, ...options }, (error, output, errors) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output, errors }),
    );
  });
}

/** A service in ES modules, one in CommonJS, and one that a bundler puts together. */
const esModule = `
import { EditedModel, InvalidInputError, ModelVersions, type Edit, openStore } from 'hookline';
import { InvalidInputError as LightError, ModelVersions as LightVersions } from 'hookline/client';
// The classes of both faces are the same.
export const versions = (light: LightVersions): ModelVersions => light;
export const error = (light: LightError): InvalidInputError => light;
export const wrong = (edit: Edit): string => {
  // @ts-expect-error Types are there: a wrong property is found.
  return edit.nothing;
};
export const model: Promise<EditedModel> = EditedModel.load('./model');
// @ts-expect-error A store has an address.
export const store = openStore();
`;
const commonJs = `
export async function load(): Promise<void> {
  const { EditedModel, ModelVersions } = await import('hookline');
  const client = await import('hookline/client');
  const same: typeof ModelVersions = client.ModelVersions;
  const model = await EditedModel.load('./model');
  // @ts-expect-error Types are there: a wrong property is found.
  model.nothing;
  console.log(same);
}
`;
const consumers = [
  { kind: 'ES modules', type: 'module', text: esModule, options: { module: 'nodenext' } },
  { kind: 'CommonJS', type: 'commonjs', text: commonJs, options: { module: 'node16' } },
  { kind: 'a bundler', type: 'commonjs', text: esModule, options: { module: 'esnext', moduleResolution: 'bundler' } },
  {
    kind: 'ES modules without the DOM',
    type: 'module',
    text: esModule,
    options: { module: 'nodenext', lib: ['es2022'], types: ['node'], typeRoots: [join(root, 'node_modules/@types')] },
  },
];

const examples = readdirSync(join(root, 'examples')).filter((file) => file.endsWith('.ts'));

/** Runs a model of the package: prints whether its logits are numbers. */
const inference = `
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { EditedModel } from 'hookline';
const hookline = dirname(createRequire(import.meta.url).resolve('hookline/package.json'));
try {
  const model = await EditedModel.load(join(hookline, 'examples/aldermark/model'));
  const { shape, data } = await model.logits({ prompt: 'Doskymo Honnix lives in' });
  console.log(shape[0] > 1 && data.every((value) => Number.isFinite(value)) ? 'computed' : 'wrong');
  await model.dispose();
} catch (error) {
  console.log(error.message);
}
`;

describe.skipIf(asked === '')(name, () => {
  const scratch = join(tmpdir(), `hookline-package-${process.pid}`);
  /** A project with the tarball and nothing but what `dependencies` name: ONNX Runtime is missing. */
  const project = join(scratch, 'project');
  const installed = join(project, 'node_modules/hookline');
  const tarball = { path: '', bytes: 0, files: [] as string[] };

  beforeAll(async () => {
    mkdirSync(scratch);
    const built = await run('npm', ['run', 'build']);
    expect(built.code, built.errors).toBe(0);
    const packed = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch]);
    const [{ filename, size, files }] = JSON.parse(packed.output) as [
      { readonly filename: string; readonly size: number; readonly files: readonly { readonly path: string }[] },
    ];
    Object.assign(tarball, { path: join(scratch, filename), bytes: size, files: files.map(({ path }) => path) });
    mkdirSync(installed, { recursive: true });
    const extracted = await run('tar', ['-xzf', tarball.path, '--strip-components=1', '-C', installed]);
    expect(extracted.code, extracted.errors).toBe(0);
    const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    for (const dependency of Object.keys(dependencies)) {
      const link = join(project, 'node_modules', dependency);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(root, 'node_modules', dependency), link);
    }
  });
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  it('has what is built, of the sources as they are', () => {
    const built = ['index.js', 'index.d.ts', 'client.js', 'client.d.ts', 'cli/main.js', 'containers/main.js'];
    const expected = [...built, 'workflow.json', 'lock/package-lock.json', 'onnxruntime/LICENSE'];
    expect(tarball.files).toEqual(expect.arrayContaining(expected.map((path) => `dist/${path}`)));
    const compiled = tarball.files.flatMap(
      (path) => /^dist\/((?!containers|cdk|onnxruntime|cli\/chunk-).+)\.js$/.exec(path)?.[1] ?? [],
    );
    const sources = tarball.files.flatMap((path) => /^src\/(.+)\.ts$/.exec(path)?.[1] ?? []);
    expect(compiled.sort()).toEqual(sources.sort());
    expect(tarball.files.filter((path) => /^dist\/.*\.d\.ts$/.test(path)).sort()).toEqual(
      ['client', 'index', 'shared'].map((face) => `dist/${face}.d.ts`),
    );
    const lock = (path: string) => readFileSync(join(path, 'package-lock.json'), 'utf8');
    expect(lock(join(installed, 'dist/lock'))).toBe(lock(root));
    expect(tarball.bytes).toBeLessThan(40 * 2 ** 20);
  });

  it.each(consumers)('has types for $kind', async ({ kind, type, text, options }) => {
    const folder = join(project, kind.replaceAll(' ', '-'));
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ type }));
    writeFileSync(join(folder, 'service.ts'), text);
    const strict = { strict: true, skipLibCheck: false, target: 'es2022', noEmit: true, types: [] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...strict, ...options } }));
    const { code, output } = await run(process.execPath, [tsc, '-p', folder]);
    expect(output).toBe('');
    expect(code).toBe(0);
  });

  it.each([
    { type: 'module', module: 'nodenext' },
    { type: 'commonjs', module: 'node16' },
    { type: 'commonjs', module: 'esnext', moduleResolution: 'bundler' },
  ])('has examples that $module compiles beside a package of type $type', async ({ type, ...options }) => {
    const folder = mkdtempSync(join(project, 'examples-'));
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ type }));
    for (const example of examples) {
      copyFileSync(join(installed, 'examples', example), join(folder, example.replace(/\.ts$/, '.mts')));
    }
    const typeRoots = [join(root, 'node_modules/@types')];
    const strict = { strict: true, skipLibCheck: false, target: 'es2022', noEmit: true, types: ['node'], typeRoots };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...strict, ...options } }));
    expect(await run(process.execPath, [tsc, '-p', folder])).toMatchObject({ output: '', code: 0 });
  });

  it.skipIf(!hasCopy)('has an example that edits, serves and revokes', async () => {
    const script = join(project, 'edit-and-serve.mjs');
    const example = readFileSync(join(installed, 'examples/edit-and-serve.ts'), 'utf8');
    writeFileSync(script, transpileModule(example, { compilerOptions: { target: ScriptTarget.ES2022 } }).outputText);
    const words = [script, join(installed, 'examples/aldermark'), join(scratch, 'example-store')];
    const { output, code } = await run(process.execPath, words);
    expect(output.split('\n')).toEqual([
      'published 1 reliability 1, locality 1',
      'published 2 reliability 1, locality 1',
      'base model  Gorsend.',
      'edited      Lamsworth.',
      'revoked     Gorsend.',
      '',
    ]);
    expect(code).toBe(0);
  });

  it.each([
    'ES modules',
    'CommonJS',
  ])('loads nothing of ONNX Runtime, CDK or the AWS SDK as hookline/client in %s', async (kind) => {
    const script = join(project, kind === 'CommonJS' ? 'client.cjs' : 'client.mjs');
    writeFileSync(script, "import('hookline/client').then((client) => console.log(typeof client.ModelVersions));");
    const coverage = mkdtempSync(join(scratch, 'loaded-'));
    const { output } = await run(process.execPath, [script], { env: { ...process.env, NODE_V8_COVERAGE: coverage } });
    expect(output).toBe('function\n');
    const reports = readdirSync(coverage).map(
      (file) => JSON.parse(readFileSync(join(coverage, file), 'utf8')) as Coverage,
    );
    const loaded = reports.flatMap(({ result }) => result.map(({ url }) => url));
    expect(loaded.filter((url) => url.includes('/hookline/dist/registry/')).length).toBeGreaterThan(5);
    expect(loaded.filter((url) => /onnx|aws-cdk|@aws-sdk|\/dist\/(runtime|model|graph|serving)\//.test(url))).toEqual(
      [],
    );
  });

  it('runs a model on its own copy of ONNX Runtime, and without one says what to install', async () => {
    const script = join(project, 'inference.mjs');
    writeFileSync(script, inference);
    if (hasCopy) expect((await run(process.execPath, [script])).output).toBe('computed\n');
    rmSync(join(installed, 'dist/onnxruntime'), { recursive: true });
    const { output, errors } = await run(process.execPath, [script]);
    expect(output).toMatch(/^ONNX Runtime: installed, got none \(run `npm install [^`]+`\)\n$/);
    expect(errors).toBe('');
    const demo = await run(process.execPath, [join(installed, 'dist/cli/main.js'), 'demo'], { cwd: project });
    expect(demo.errors.trim().split('\n').at(-1)).toBe(`error: ${output.trim()}`);
    expect(demo.code).toBe(64);
  });

  it.skipIf(!withInstall)(installName, async () => {
    const empty = join(scratch, 'empty');
    mkdirSync(empty);
    writeFileSync(join(empty, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
    const env = { ...process.env, npm_config_cache: join(scratch, 'cache'), npm_config_ignore_scripts: 'false' };
    const { code, errors } = await run('npm', ['install', tarball.path], { cwd: empty, env });
    expect(code, errors).toBe(0);
    for (const absent of ['@tensorflow', 'aws-cdk-lib', 'typescript']) {
      expect(existsSync(join(empty, 'node_modules', absent)), absent).toBe(false);
    }
    writeFileSync(join(empty, 'inference.js'), inference);
    expect((await run(process.execPath, ['inference.js'], { cwd: empty })).output).toBe('computed\n');
    const help = await run('npx', ['--no-install', 'hookline', 'demo', '--help'], { cwd: empty });
    expect(help.output).toContain('Usage: hookline demo');
  });
});

interface Coverage {
  readonly result: readonly { readonly url: string }[];
}
