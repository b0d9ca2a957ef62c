/**
 * @file `node side-by-side.mjs <script> ...`: runs scripts of package.json at the same time. What each printed comes in one
 * piece when it has ended. All of them run to their end; it fails if any of them did.
 */
import { spawn } from 'node:child_process';

/** @param {string} script */
function run(script) {
  const child = spawn('npm', ['run', '--silent', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  /** @type {[NodeJS.WriteStream, Buffer][]} */
  const printed = [];
  child.stdout.on('data', (bytes) => printed.push([process.stdout, bytes]));
  child.stderr.on('data', (bytes) => printed.push([process.stderr, bytes]));
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => {
      for (const [stream, bytes] of printed) stream.write(bytes);
      if (code !== 0) process.stderr.write(`${script}: ended with ${code ?? signal}\n`);
      resolve(code === 0);
    });
  });
}

const ends = await Promise.all(process.argv.slice(2).map(run));
process.exitCode = ends.every(Boolean) ? 0 : 1;
