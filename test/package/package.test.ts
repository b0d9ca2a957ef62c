import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { ScriptFolder } from '../support/node-child.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface PackageFile {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}
const settings = JSON.parse(read('package.json')) as PackageFile;

describe('what is packed', () => {
  const listed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [{ files }] = JSON.parse(listed) as [{ readonly files: readonly { readonly path: string }[] }];
  const packed = files.map(({ path }) => path);
  const missing = (paths: readonly string[]) =>
    paths.filter((path) => !packed.some((file) => file === path || file.startsWith(`${path.replace(/\/$/, '')}/`)));

  it('has whole folders of sources and examples', () => {
    const folders = ['src', 'cdk', 'functions', 'containers', 'scripts', 'docs', 'examples'];
    const paths = folders.flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.parentPath.includes('__pycache__'))
        .map((entry) => join(entry.parentPath, entry.name).slice(root.length)),
    );
    expect(paths.length).toBeGreaterThan(300);
    expect(missing(paths)).toEqual([]);
  });

  it('has what README.md links to', () => {
    const links = [...read('README.md').matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => path);
    expect(links).toContain('docs/how-it-works.md');
    expect(missing(links)).toEqual([]);
  });

  it('has what the image, the stack and the build are made of', () => {
    const copied = [...read('containers/Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)];
    const context = copied.flatMap(([, paths]) => paths.split(' '));
    expect(context).toContain('package-lock.json');
    // npm never packs the lock file; the build puts a copy into dist.
    expect(missing(context)).toEqual(['package-lock.json', 'package-lock.json']);
    const { app } = JSON.parse(read('cdk.json')) as { readonly app: string };
    const lines = [app, ...Object.values(settings.scripts)];
    const sources = lines.flatMap((line) => line.match(/(?<!dist\/)\b(cdk|scripts)\/[\w.-]+/g) ?? []);
    expect(sources).toEqual(expect.arrayContaining(['cdk/app.ts', 'scripts/roll-up-types.mjs']));
    expect(missing(sources)).toEqual([]);
    expect(missing(['cdk.json', '.dockerignore', 'tsconfig.json', 'tsconfig.build.json', 'LICENSE'])).toEqual([]);
  });

  it('has nothing of the tests, the settings of this checkout, or what the compiler keeps', () => {
    const unwanted = /^(test|\.ci|\.bench|cdk\.out|node_modules)\/|^\.npmrc$|tsbuildinfo$|^dist\/\.|\.pyc$/;
    expect(packed.filter((path) => unwanted.test(path))).toEqual([]);
  });
});

describe('the packages that it names', () => {
  const lock = JSON.parse(read('package-lock.json')) as { readonly packages: Readonly<Record<string, PackageFile>> };

  it('are those of the lock file', () => {
    const kinds = [
      ...(['dependencies', 'devDependencies', 'optionalDependencies'] as const),
      ...(['peerDependencies', 'peerDependenciesMeta'] as const),
    ];
    for (const kind of kinds) expect(lock.packages[''][kind], kind).toEqual(settings[kind]);
  });

  it('are there for everybody, at will, or for development', () => {
    expect(Object.keys(settings.dependencies)).toEqual(
      expect.arrayContaining(['@aws-sdk/client-s3', '@aws-sdk/client-sfn', 'onnxruntime-common']),
    );
    // npm leaves it out where its install script fails.
    expect(Object.keys(settings.optionalDependencies)).toEqual(['onnxruntime-node']);
    expect(Object.keys(settings.devDependencies)).toContain('aws-cdk-lib');
    expect(Object.keys(settings.peerDependencies)).toEqual(['@tensorflow/tfjs-node-gpu']);
    expect(settings.peerDependenciesMeta['@tensorflow/tfjs-node-gpu']).toEqual({ optional: true });
    // Nobody gets it who does not ask for it.
    expect(Object.keys(lock.packages).filter((path) => path.includes('@tensorflow/'))).toEqual([]);
  });
});

describe('ONNX Runtime', () => {
  const { 'onnxruntime-node': version } = settings.optionalDependencies;

  it('has its types from the same version', () => {
    expect(settings.dependencies['onnxruntime-common']).toBe(version);
  });

  it('where it is missing is said to be, with the command that installs it', async () => {
    const folder = new ScriptFolder(['runtime'], 'far from packages');
    const script = folder.write(`import { loadOnnxRuntime } from './runtime/onnx-runtime.js';
      await loadOnnxRuntime().catch(({ name, message }) => console.log(name + ': ' + message));`);
    const { output } = await folder.run(script).ended;
    folder.remove();
    const command = `npm install --ignore-scripts onnxruntime-node@${version}`;
    expect(output).toBe(`PermanentError: ONNX Runtime: installed, got none (run \`${command}\`)\n`);
  });
});

/** The packages that a face names, with the kinds of their imports. */
async function packagesOf(face: string): Promise<Map<string, Set<string>>> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [face],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    write: false,
    metafile: true,
    logLevel: 'silent',
    outfile: 'face.mjs',
  } as const);
  const found = new Map<string, Set<string>>();
  for (const { path, kind } of Object.values((metafile as Metafile).outputs).flatMap(({ imports }) => imports)) {
    if (!path.startsWith('node:')) found.set(path, (found.get(path) ?? new Set()).add(kind));
  }
  return found;
}

describe('a face', () => {
  it('hookline/client needs no package at first but zod, and that of AWS only for a store in S3', async () => {
    const packages = await packagesOf('src/client.ts');
    expect([...packages.keys()].sort()).toEqual(['@aws-sdk/client-s3', 'zod']);
    expect([...packages.get('@aws-sdk/client-s3')!]).toEqual(['dynamic-import']);
  });

  it('hookline loads ONNX Runtime only when a session needs it', async () => {
    const packages = await packagesOf('src/index.ts');
    expect([...packages.get('onnxruntime-node')!]).toEqual(['dynamic-import']);
    expect(packages.has('onnxruntime-common')).toBe(false);
    expect([...packages.keys()].filter((name) => /aws-cdk|constructs|tensorflow/.test(name))).toEqual([]);
  });
});
