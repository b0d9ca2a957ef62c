import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandLine } from '../support/command-line.js';

const configs = 'test/fixtures/configs';

let commandLine: CommandLine;
let folder: string;
beforeAll(() => {
  commandLine = new CommandLine();
  folder = mkdtempSync(join(tmpdir(), 'hookline-estimate-'));
});
afterAll(() => {
  commandLine.remove();
  rmSync(folder, { recursive: true, force: true });
});

const run = (line: string) => commandLine.run(line.split(' '));

async function failure(line: string): Promise<string> {
  const { exitCode, output, errors } = await run(line);
  expect({ exitCode, output }).toEqual({ exitCode: 64, output: '' });
  return errors;
}

/** Every command of the page with what the page says it prints. */
function shownCommands(): { readonly line: string; readonly shown: string }[] {
  const page = readFileSync('docs/estimate.md', 'utf8');
  return Array.from(page.matchAll(/```\n\$ hookline ([^\n]+)\n\n?([\s\S]*?)```/g), ([, line, shown]) => ({
    line,
    shown,
  }));
}

describe('the page on estimates', () => {
  it('shows what its commands print', async () => {
    const commands = shownCommands();
    expect(commands.length).toBe(9);
    const results = await Promise.all(commands.map(({ line }) => run(line)));
    for (const [c, { exitCode, output, errors }] of results.entries()) {
      expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
      expect(commands[c].shown).toBe(output);
    }
  });

  it('says that its tables are predictions', () => {
    expect(readFileSync('docs/estimate.md', 'utf8')).toContain('All tables on this page are predictions');
  });
});

describe('hookline estimate', () => {
  it('takes a model directory and estimates with its preset', async () => {
    const { output } = await run('estimate examples/aldermark/model --edits 20 --round-size 10 --json');
    const { settings, estimate, predicted } = JSON.parse(output);
    expect(predicted).toBe(true);
    expect(settings).toMatchObject({ layers: [0], stopLoss: 0.02 });
    expect(estimate.rounds).toBe(2);
    expect(estimate.stages.map(({ stage }: { stage: string }) => stage)).toEqual([
      'statistics',
      'merge',
      'values',
      'solve',
      'validate',
    ]);
  });

  it('answers to the name plan, too', async () => {
    const words = 'examples/aldermark/model --edits 20 --round-size 10 --quiet';
    const [today, former] = await Promise.all([run(`estimate ${words}`), run(`plan ${words}`)]);
    expect(today.exitCode).toBe(0);
    expect(former).toEqual(today);
  });

  it('takes the layers and settings that are given', async () => {
    const { output } = await run(`estimate ${configs}/gpt-j-6b.json --layers 3,4,5 --set steps=20 --json`);
    expect(JSON.parse(output).settings).toMatchObject({ layers: [3, 4, 5], steps: 20 });
  });

  it('counts what is taught and kept in chat, unless nothing is', async () => {
    const valuesOf = async (options: string) => {
      const { output } = await run(`estimate ${configs}/llama-3-8b.json --instance p5.48xlarge --json${options}`);
      const { estimate } = JSON.parse(output);
      return estimate.stages.find(({ stage }: { stage: string }) => stage === 'values').flops;
    };
    expect((await valuesOf('')) / (await valuesOf(' --set chatContexts=false'))).toBeGreaterThan(1.2);
  });

  it('computes with rates that were printed, edited and given back', async () => {
    const printed = JSON.parse((await run('estimate --print-rates')).output);
    const path = join(folder, 'rates.json');
    const plain = JSON.parse((await run(`estimate ${configs}/gpt-j-6b.json --json`)).output);
    writeFileSync(path, JSON.stringify(printed));
    const same = JSON.parse((await run(`estimate ${configs}/gpt-j-6b.json --rates ${path} --json`)).output);
    expect(same).toEqual(plain);
    for (const instance of printed.instances) instance.dollarsPerHour *= 2;
    writeFileSync(path, JSON.stringify(printed));
    const dearer = JSON.parse((await run(`estimate ${configs}/gpt-j-6b.json --rates ${path} --json`)).output);
    expect(dearer.estimate.costs.onDemand).toBeGreaterThan(1.9 * plain.estimate.costs.onDemand);
    expect(dearer.estimate.costs.spot).toBe(plain.estimate.costs.spot);
    expect(dearer.estimate.seconds).toBe(plain.estimate.seconds);
  });

  it('measures this machine when it is asked to', async () => {
    const { exitCode, output } = await run('estimate examples/aldermark/model --edits 10 --calibrate --json');
    const { instance, rates, estimate } = JSON.parse(output);
    expect(exitCode).toBe(0);
    expect(instance.name).toContain('this machine');
    expect(rates.gemmFlops).toBeGreaterThan(1e8);
    expect(estimate.costs).toMatchObject({ onDemand: expect.closeTo(0, 1) });
  });

  it('names what is wrong with a request, in one line', async () => {
    const wrong: readonly (readonly [string, string])[] = [
      ['', 'config: a config.json or a model directory, got nothing'],
      [`${configs}/none.json`, 'none.json: a readable file, got ENOENT'],
      [`${configs}/gpt-j-6b.json --instance g5.huge`, '--instance: one of g5.xlarge'],
      [`${configs}/gpt-j-6b.json --layers 40`, 'ascending layers of 0 .. 27'],
      [`${configs}/gpt-j-6b.json --edits 0`, '--edits: a whole number of at least 1'],
    ];
    const messages = await Promise.all(wrong.map(([words]) => failure(`estimate ${words}`.trim())));
    for (const [w, [, message]] of wrong.entries()) expect(messages[w]).toContain(message);
    const path = join(folder, 'wrong.json');
    writeFileSync(path, JSON.stringify({ region: 'moon' }));
    expect(await failure(`estimate ${configs}/gpt-j-6b.json --rates ${path}`)).toContain('a fitting field asOf');
    writeFileSync(path, '{');
    expect(await failure(`estimate ${configs}/gpt-j-6b.json --rates ${path}`)).toContain('wrong.json: JSON');
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ model_type: 'mamba' }));
    expect(await failure(`estimate ${folder}`)).toContain('model architecture: one of llama');
  });
});
