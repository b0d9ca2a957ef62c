/** @file Python for tests of what other programs do with our files. */
import { spawn, spawnSync } from 'node:child_process';

const finder = 'import sys; from importlib.util import find_spec; sys.exit(not all(map(find_spec, sys.argv[1:])))';

/** The Python that has these modules, if there is one: `HOOKLINE_PYTHON`, else `python3`. */
export function pythonWith(...modules: readonly string[]): string | undefined {
  const python = process.env.HOOKLINE_PYTHON || 'python3';
  return spawnSync(python, ['-c', finder, ...modules]).status === 0 ? python : undefined;
}

/** Runs a script, as text or a file, that reads JSON from its input and writes JSON to its output. */
export async function runPython<T>(
  python: string,
  script: string | { readonly file: string },
  input: unknown,
): Promise<T> {
  const child = spawn(python, ['-B', ...(typeof script === 'string' ? ['-c', script] : [script.file])]);
  const [output, errors]: [string[], string[]] = [[], []];
  child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
  child.stdin.end(JSON.stringify(input));
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  if (code !== 0) throw new Error(`python ended with ${code}:\n${errors.join('')}`);
  return JSON.parse(output.join('')) as T;
}
