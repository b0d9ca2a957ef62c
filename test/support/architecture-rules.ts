/** @file The rules of the layout, checked on source texts: arrows between folders, faces, fences and cycles. */
import { dirname, join } from 'node:path/posix';
import ts from 'typescript';

/** Source texts by their path from the root, as `src/graph/encode.ts` or `cdk/app.ts`. */
export type Sources = ReadonlyMap<string, string>;

/** Folders of `src`; each may import those before it. */
const folders: readonly string[] =
  'tensor linalg registry graph runtime model editing serving evaluation pipeline server cli'.split(' ');

/** Folders beside `src`, and what of it they import, if not any face. */
const outerFolders: ReadonlyMap<string, RegExp> = new Map([
  ['functions', /^src\/(errors|[^/]+\/index|pipeline\/contract)\.ts$/],
  ['containers', /^src\/(errors|[^/]+\/index|pipeline\/contract)\.ts$/],
  // Infrastructure code runs without the rest.
  ['cdk', /^src\/(pipeline\/contract|registry\/keys)\.ts$/],
]);

/** What only some files may use: a package with all below it, a module, or a global. */
const fences: readonly { readonly what: RegExp; readonly where: RegExp }[] = [
  { what: /^onnxruntime-node(\/|$)/, where: /^src\/runtime\// },
  { what: /^(onnx-buf|@bufbuild\/protobuf)(\/|$)/, where: /^src\/graph\/(encode|onnx-file)\.ts$/ },
  { what: /^@huggingface\/tokenizers(\/|$)/, where: /^src\/model\/tokenizer\.ts$/ },
  { what: /^@huggingface\/gguf(\/|$)/, where: /^src\/model\/gguf\// },
  { what: /^@huggingface\/hub(\/|$)/, where: /^src\/cli\// },
  { what: /^@aws-sdk\//, where: /^(src\/(registry\/s3-|cli\/aws-executions\.ts$)|functions\/)/ },
  { what: /^(aws-cdk-lib|constructs|cdk-nag)(\/|$)/, where: /^cdk\// },
  { what: /^(aws-local-stepfunctions|chokidar)(\/|$)/, where: /^src\/pipeline\/local\// },
  { what: /^@tensorflow\//, where: /^src\/linalg\/tensorflow-kernels\.ts$/ },
  { what: /^ml-matrix(\/|$)/, where: /^src\/linalg\/singular-values\.ts$/ },
  { what: /^(hono|@hono|prom-client)(\/|$)/, where: /^src\/server\// },
  { what: /^echarts(\/|$)/, where: /^src\/evaluation\/report\// },
  { what: /^(commander|picocolors|cli-table3|cli-progress)(\/|$)/, where: /^src\/cli\// },
  {
    what: /^(console|process\.stdout|process\.stderr|(node:)?(console|process))$/,
    where: /^(src\/cli|containers|cdk)\//,
  },
];

/** Every broken rule, one line each that begins with the file. */
export function brokenRules(sources: Sources): string[] {
  const used = new Map([...sources].map(([path, text]) => [path, usesOf(path, text)]));
  const targetsOf = (path: string, uses: readonly Use[]) => uses.flatMap(({ what }) => targetOf(path, what));
  const imports = new Map([...used].map(([path, uses]) => [path, targetsOf(path, uses)]));
  const kept = new Map(
    [...used].map(([path, uses]) => [
      path,
      targetsOf(
        path,
        uses.filter((use) => !use.isErased),
      ),
    ]),
  );
  const found = [...imports].flatMap(([path, targets]) => targets.flatMap((target) => brokenArrow(path, target)));
  for (const [path, uses] of used) {
    for (const { what, where } of fences) {
      const use = where.test(path) ? undefined : uses.find((candidate) => what.test(candidate.what));
      if (use !== undefined) found.push(`${path}: ${use.what} only in ${where.source}`);
    }
  }
  const present = new Set([...sources.keys()].flatMap((path) => /^src\/([^/]+)\//.exec(path)?.[1] ?? []));
  if (present.size > 12) found.push(`src: at most twelve folders, got ${present.size}`);
  for (const folder of present) {
    if (!folders.includes(folder)) found.push(`src/${folder}: a folder with a place in the arrows, got none`);
  }
  return [...found, ...cycles(kept).map((cycle) => `${cycle[0]}: no import cycle, got ${cycle.join(' -> ')}`)];
}

/** A module specifier or a printing global. */
interface Use {
  readonly what: string;
  /** Whether nothing of it is left when the program runs: types may refer to each other in circles. */
  readonly isErased: boolean;
}

/** Every kind of import, and the printing globals. */
function usesOf(path: string, text: string): Use[] {
  const uses: Use[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) && isSpecifier(node)) uses.push({ what: node.text, isErased: isErased(node) });
    if (ts.isPropertyAccessExpression(node)) {
      const target = node.expression.getText();
      if (target === 'console') uses.push({ what: target, isErased: false });
      if (target === 'process') uses.push({ what: node.getText(), isErased: false });
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
  return uses;
}

function isSpecifier({ parent }: ts.StringLiteralLike): boolean {
  if (ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent)) return true;
  if (ts.isLiteralTypeNode(parent)) return ts.isImportTypeNode(parent.parent);
  return ts.isCallExpression(parent) && parent.expression.kind === ts.SyntaxKind.ImportKeyword;
}

function isErased({ parent }: ts.StringLiteralLike): boolean {
  if (ts.isImportDeclaration(parent)) return parent.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
  return ts.isLiteralTypeNode(parent) || (ts.isExportDeclaration(parent) && parent.isTypeOnly);
}

function targetOf(path: string, use: string): string[] {
  return use.startsWith('.') ? [join(dirname(path), use).replace(/\.js$/, '.ts')] : [];
}

/**
 * `src/errors.ts` may be used by all; `src/index.ts`, the package's face, may use all; `src/client.ts`, its light face, the
 * registry.
 */
function brokenArrow(path: string, target: string): string[] {
  const outer = path.slice(0, Math.max(0, path.indexOf('/')));
  const allowed = outerFolders.get(outer);
  if (allowed !== undefined) {
    const isAllowed = target.startsWith(`${outer}/`) || allowed.test(target);
    return isAllowed ? [] : [`${path}: imports ${allowed.source} of src, got ${target}`];
  }
  const [from, to] = [path, target].map((file) => /^src\/([^/]+)\//.exec(file)?.[1]);
  if (target === 'src/errors.ts' || (from !== undefined && from === to)) return [];
  if (path === 'src/errors.ts') return [`${path}: imports nothing, got ${target}`];
  if (to === undefined) return [`${path}: imports a folder of src or src/errors.ts, got ${target}`];
  if (target !== `src/${to}/index.ts`) return [`${path}: imports the face src/${to}/index.ts, got ${target}`];
  if (path === 'src/client.ts' && to !== 'registry') return [`${path}: imports src/registry/index.ts, got ${target}`];
  if (from === undefined || folders.indexOf(to) < folders.indexOf(from)) return [];
  return [`${path}: ${from} imports only folders before it, got ${target}`];
}

/** One cycle through each back edge of a depth-first walk. */
function cycles(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const finished = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) found.push([...trail.slice(trail.indexOf(path)), path]);
    else if (!finished.has(path)) for (const target of imports.get(path) ?? []) walk(target, [...trail, path]);
    finished.add(path);
  };
  for (const path of imports.keys()) walk(path, []);
  return found;
}
