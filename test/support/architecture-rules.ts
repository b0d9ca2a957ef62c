/**
 * @file The rules of the layout, checked on source texts: arrows between rooms and inside the larger ones, faces, fences,
 * sizes and cycles. A room is a folder of `src` with all below it.
 */
import { dirname, join } from 'node:path/posix';
import ts from 'typescript';

/** Source texts by their path from the root, as `src/graph/encode.ts` or `cdk/app.ts`. */
export type Sources = ReadonlyMap<string, string>;

/** Rooms of `src`; each may import those before it. */
const rooms: readonly string[] = (
  'tensor linalg registry graph runtime model editing serving evaluation statistics rounds workflow local estimate ' +
  'server cli'
).split(' ');

/** Files of `src` that belong to no room and that every room may import: they import nothing themselves. */
const commonFiles: readonly string[] = ['src/errors.ts', 'src/json.ts', 'src/progress.ts', 'src/home-folder.ts'];

/** Folders inside a room, where it has some: each may import those before it. `.` is the room's own floor. */
const innerFolders: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    graph: ['.', 'gradient'],
    model: ['blocks', 'architectures', '.', 'gguf', 'hub'],
    serving: ['.', 'export'],
    evaluation: ['.', 'report'],
    rounds: ['.', 'revoke', 'tuning', 'study', 'session'],
    workflow: ['.', 'queue', 'plan', 'tasks', 'stages'],
    server: ['page', '.'],
    cli: ['terminal', 'options', 'tables', 'commands', '.'],
  }),
);

/** Rooms that nothing else in `src` imports but those named here. */
const leaves: ReadonlyMap<string, readonly string[]> = new Map([['estimate', ['cli']]]);

/** Most lines of a room, as a share of all that is checked. */
const largestShare = 0.12;

/** Folders beside `src`, and what of it they import, if not any face. */
const outerFolders: ReadonlyMap<string, RegExp> = new Map([
  ['functions', /^src\/(errors|json|progress|[^/]+\/index|workflow\/contract)\.ts$/],
  ['containers', /^src\/(errors|json|progress|home-folder|[^/]+\/index|workflow\/contract)\.ts$/],
  // Infrastructure code runs without the rest.
  ['cdk', /^src\/(workflow\/contract|registry\/keys)\.ts$/],
]);

/** What only some files may use: a package with all below it, a module, a global, or a function of one. */
const fences: readonly { readonly what: RegExp; readonly where: RegExp }[] = [
  { what: /^onnxruntime-(node|common)(\/|$)/, where: /^src\/runtime\// },
  { what: /^(onnx-buf|@bufbuild\/protobuf)(\/|$)/, where: /^src\/graph\/(encode|onnx-file)\.ts$/ },
  { what: /^@huggingface\/tokenizers(\/|$)/, where: /^src\/model\/tokenizer\.ts$/ },
  { what: /^@huggingface\/jinja(\/|$)/, where: /^src\/model\/chat-template\.ts$/ },
  { what: /^@huggingface\/gguf(\/|$)/, where: /^src\/model\/gguf\// },
  { what: /^@huggingface\/hub(\/|$)/, where: /^src\/model\/hub\// },
  { what: /^@aws-sdk\//, where: /^(src\/(registry\/s3-|cli\/commands\/aws-executions\.ts$)|functions\/)/ },
  { what: /^(aws-cdk-lib|constructs|cdk-nag)(\/|$)/, where: /^cdk\// },
  { what: /^aws-local-stepfunctions(\/|$)/, where: /^src\/local\// },
  { what: /^@tensorflow\//, where: /^src\/linalg\/tensorflow-kernels\.ts$/ },
  { what: /^ml-matrix(\/|$)/, where: /^src\/linalg\/singular-values\.ts$/ },
  { what: /^(hono|@hono|prom-client)(\/|$)/, where: /^src\/server\// },
  // The page's script runs in a browser, on what the service sends.
  { what: /^JSON\.parse$/, where: /^(src\/json\.ts$|src\/server\/page\/|cdk\/)/ },
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
  const imports = new Map([...used].map(([path, uses]) => [path, uses.flatMap(({ what }) => targetOf(path, what))]));
  const found = [...imports].flatMap(([path, targets]) => targets.flatMap((target) => brokenArrow(path, target)));
  for (const [path, uses] of used) {
    for (const { what, where } of fences) {
      const use = where.test(path) ? undefined : uses.find((candidate) => what.test(candidate.what));
      if (use !== undefined) found.push(`${path}: ${use.what} only in ${where.source}`);
    }
  }
  return [
    ...found,
    ...unplacedFolders(sources),
    ...cycles(imports).map((cycle) => `${cycle[0]}: no import cycle, got ${cycle.join(' -> ')}`),
  ];
}

/** Rooms that hold more than their share of all lines. */
export function overfullRooms(sources: Sources): string[] {
  const linesOf = (text: string) => text.split('\n').length - 1;
  const all = [...sources.values()].reduce((sum, text) => sum + linesOf(text), 0);
  return roomsOf(sources).flatMap((room) => {
    const own = [...sources].filter(([path]) => path.startsWith(`src/${room}/`));
    const share = own.reduce((sum, [, text]) => sum + linesOf(text), 0) / all;
    const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
    return share <= largestShare
      ? []
      : [`src/${room}: at most ${percent(largestShare)} of all lines, got ${percent(share)}`];
  });
}

/** Names of faces that no other room, no folder beside `src` and no face of the package uses. */
export function unusedFaceNames(sources: Sources): string[] {
  const targets = new Map(
    [...sources].map(([path, text]) => [path, usesOf(path, text).flatMap(({ what }) => targetOf(path, what))]),
  );
  return roomsOf(sources).flatMap((room) => {
    const face = `src/${room}/index.ts`;
    const users = [...sources].filter(
      ([path]) => !path.startsWith(`src/${room}/`) && targets.get(path)?.includes(face),
    );
    const words = new Set(users.flatMap(([, text]) => text.match(/[A-Za-z_$][\w$]*/g) ?? []));
    return exportedNames(sources.get(face) ?? '')
      .filter((name) => !words.has(name))
      .map((name) => `${face}: names that other rooms use, got ${name}`);
  });
}

function exportedNames(face: string): string[] {
  const { statements } = ts.createSourceFile('index.ts', face, ts.ScriptTarget.Latest, true);
  return statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement) || statement.exportClause === undefined) return [];
    if (!ts.isNamedExports(statement.exportClause)) return [];
    return statement.exportClause.elements.map(({ name }) => name.text);
  });
}

const roomsOf = (sources: Sources): string[] => [
  ...new Set([...sources.keys()].flatMap((path) => /^src\/([^/]+)\//.exec(path)?.[1] ?? [])),
];

function unplacedFolders(sources: Sources): string[] {
  const unplacedRooms = roomsOf(sources).filter((room) => !rooms.includes(room));
  const folders = new Set([...sources.keys()].flatMap((path) => /^src\/([^/]+\/[^/]+)\//.exec(path)?.[1] ?? []));
  const unplaced = [...folders].filter((folder) => {
    const [room, inner] = folder.split('/');
    return rooms.includes(room) && !(innerFolders.get(room) ?? ['.']).includes(inner);
  });
  return [...unplacedRooms, ...unplaced].map(
    (folder) => `src/${folder}: a folder with a place in the arrows, got none`,
  );
}

/** A module specifier, a printing global, or a function of JSON. */
interface Use {
  readonly what: string;
}

/** Every kind of import, the printing globals, and what is used of JSON. */
function usesOf(path: string, text: string): Use[] {
  const uses: Use[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) && isSpecifier(node)) uses.push({ what: node.text });
    if (ts.isPropertyAccessExpression(node)) {
      const target = node.expression.getText();
      if (target === 'console') uses.push({ what: target });
      if (target === 'process' || target === 'JSON') uses.push({ what: node.getText() });
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

function targetOf(path: string, use: string): string[] {
  return use.startsWith('.') ? [join(dirname(path), use).replace(/\.js$/, '.ts')] : [];
}

/**
 * The common files may be used by all; `src/index.ts`, the package's face, may use all; `src/client.ts`, its light face,
 * the registry.
 */
function brokenArrow(path: string, target: string): string[] {
  const outer = path.slice(0, Math.max(0, path.indexOf('/')));
  const allowed = outerFolders.get(outer);
  if (allowed !== undefined) {
    const isAllowed = target.startsWith(`${outer}/`) || allowed.test(target);
    return isAllowed ? [] : [`${path}: imports ${allowed.source} of src, got ${target}`];
  }
  const [from, to] = [path, target].map((file) => /^src\/([^/]+)\//.exec(file)?.[1]);
  if (commonFiles.includes(path)) return [`${path}: imports nothing, got ${target}`];
  if (commonFiles.includes(target)) return [];
  if (to === undefined) return [`${path}: imports a room of src or ${commonFiles.join(' or ')}, got ${target}`];
  if (from === to) return brokenInnerArrow(path, target, to);
  if (target !== `src/${to}/index.ts`) return [`${path}: imports the face src/${to}/index.ts, got ${target}`];
  if (path === 'src/client.ts' && to !== 'registry') return [`${path}: imports src/registry/index.ts, got ${target}`];
  if (from === undefined) return [];
  if (rooms.indexOf(to) >= rooms.indexOf(from)) return [`${path}: ${from} imports only rooms before it, got ${target}`];
  const users = leaves.get(to);
  if (users === undefined || users.includes(from)) return [];
  return [`${path}: ${to} is imported by ${users.join(', ')} alone, got ${from}`];
}

/** A face may import all of its room; inside, folders import those before them. */
function brokenInnerArrow(path: string, target: string, room: string): string[] {
  if (path === `src/${room}/index.ts`) return [];
  const folders = innerFolders.get(room) ?? ['.'];
  const [from, to] = [path, target].map((file) => /^src\/[^/]+\/([^/]+)\//.exec(file)?.[1] ?? '.');
  if (target === `src/${room}/index.ts`) return [`${path}: imports files of its own room, got its face`];
  if (from === to || folders.indexOf(to) < folders.indexOf(from)) return [];
  return [`${path}: ${from} of ${room} imports only what is before it, got ${target}`];
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
