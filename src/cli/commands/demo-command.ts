import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { type WorkflowOptions, workflowOptions } from '../options/workflow-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal } from '../terminal/terminal.js';

interface DemoOptions extends Omit<WorkflowOptions, 'store'> {
  readonly store?: string;
  readonly seed?: number;
}

/** `hookline demo`: three rounds on the bundled model, through the workflow. */
export function demoCommand(): Command {
  const command = new Command('demo')
    .description('Edit the bundled model of an invented world in three consecutive rounds of twenty facts')
    .action(demo);
  addOptions(command, [
    new Option('--store <dir>', 'a new folder for the versions (default: ./hookline-demo, or the next free name)'),
    ...workflowOptions().filter((option) => option.long !== '--store'),
  ]);
  return addExamples(command, ['hookline demo', 'hookline demo --store /tmp/demo --json']);
}

async function demo(options: DemoOptions): Promise<void> {
  const { register } = await import('./prepare-model.js');
  const { runBatches } = await import('./run-batches.js');
  const { openStore } = await import('../../registry/index.js');
  const terminal = createTerminal(options);
  const store = options.store ?? freeFolder('hookline-demo');
  const world = (path: string) => fileURLToPath(new URL(`../../../examples/aldermark/${path}`, import.meta.url));
  terminal.note(`running the workflow on the bundled model Aldermark: 3 rounds of 20 facts into ${store}`);
  const texts = { corpus: world('corpus.txt'), heldOut: world('heldout.txt'), compareGates: true };
  const { seed } = options;
  await register(terminal, {
    store: openStore(store),
    modelId: 'aldermark',
    directory: world('model'),
    options: { ...texts, ...(seed !== undefined && { seed }) },
  });
  const paths = [1, 2, 3].map((round) => world(`batches/round-${round}.jsonl`));
  await runBatches(terminal, { modelId: 'aldermark', paths, options: { ...options, store } });
  const shown = (path: string) => relative('.', path);
  const command = `node ${shown(process.argv[1])} generate "Letters for Doskymo Honnix are sent to"`;
  terminal.print(`ask it: ${command} --store ${store} --model ${shown(world('model'))} --explain`);
}

function freeFolder(name: string): string {
  for (let n = 1; ; n++) {
    const folder = `./${name}${n === 1 ? '' : `-${n}`}`;
    if (!existsSync(folder)) return folder;
  }
}
