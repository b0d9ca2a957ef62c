/** @file A moto server, AWS's services in a process of Python, for tests that talk to S3. */
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

// moto checks a condition and then writes, without a lock: only requests that follow each other find that atomic, as it is
// in S3. The server ends with the process that started it, however that ends.
const imports = `
import os, sys, threading
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
`;
const script = `${imports}
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
run_simple("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
`;

/** The Python that has moto with its server, if there is one: `HOOKLINE_PYTHON`, else `python3`. */
export function pythonWithMoto(): string | undefined {
  const python = process.env.HOOKLINE_PYTHON || 'python3';
  return spawnSync(python, ['-c', imports]).status === 0 ? python : undefined;
}

export interface MotoServer {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** Starts a server on a free port. Nothing of it is kept. */
export async function startMoto(python: string): Promise<MotoServer> {
  const child = spawn(python, ['-c', script], { stdio: ['pipe', 'ignore', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const lines = createInterface({ input: child.stderr });
  const endpoint = await new Promise<string>((resolve, reject) => {
    const seen: string[] = [];
    lines.on('line', (line) => {
      const address = /Running on (http:\/\/\S+)/.exec(line)?.[1];
      if (address === undefined) seen.push(line);
      else resolve(address);
    });
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`moto ended before it listened:\n${seen.join('\n')}`)));
  });
  return {
    endpoint,
    stop: () => {
      child.kill();
      return ended;
    },
  };
}
