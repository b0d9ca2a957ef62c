import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { TransientError } from '../../../src/errors.js';
import { add, Graph } from '../../../src/graph/index.js';
import { compile, type Device, type DeviceChoice, requireDevice, resolveDevice } from '../../../src/runtime/index.js';
import { cudaLoaderReason } from '../../../src/runtime/onnx-runtime.js';
import { tensor } from '../../../src/tensor/index.js';

async function resolve(choice: DeviceChoice): Promise<{ device: Device; notices: string[] }> {
  const notices: string[] = [];
  return { device: await resolveDevice(choice, { onNotice: (message) => notices.push(message) }), notices };
}

it.each(['auto', 'cpu', 'cuda', 'webgpu'] as const)('%s resolves to a device that runs a graph', async (choice) => {
  const { device } = await resolve(choice);
  const graph = new Graph();
  const x = graph.input('x', 'float32', [2]);
  graph.output('y', add(x, x));
  const program = await compile(graph, { device });
  const { y } = await program.run({ x: tensor('float32', [2], Float32Array.of(1, 2)) });
  expect([...(y!.data as Float32Array)]).toEqual([2, 4]);
  await program.dispose();
});

it.each(['cuda', 'webgpu'] as const)('%s that cannot load is said once and the CPU is used', async (choice) => {
  const { device, notices } = await resolve(choice);
  const expected =
    device.provider === choice
      ? []
      : [expect.stringContaining(`device ${choice} cannot be used, running on the CPU: `)];
  expect(notices).toEqual(expected);
});

it('auto and cpu say nothing', async () => {
  expect((await resolve('auto')).notices).toEqual([]);
  expect(await resolve('cpu')).toEqual({ device: { provider: 'cpu' }, notices: [] });
});

it('a device that is required is never replaced: the error says why it does not load', async () => {
  expect(await requireDevice('cpu')).toEqual({ provider: 'cpu' });
  const given = await resolve('cuda');
  if (given.device.provider === 'cuda') return;
  const required = requireDevice('cuda');
  await expect(required).rejects.toBeInstanceOf(TransientError);
  await expect(required).rejects.toThrow(
    /^device cuda: one that loads on this machine, got .*[Ff]ailed to load shared library: ./,
  );
  await expect(required).rejects.not.toThrow('running on the CPU');
});

it.runIf(process.platform === 'linux' && process.arch === 'x64')(
  'the reason of a provider that does not load is that of the loader of the system',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'hookline-provider-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const libraries = join(folder, 'bin/napi-v6/linux/x64');
    mkdirSync(libraries, { recursive: true });
    const shared = join(libraries, 'libonnxruntime_providers_shared.so');
    const cuda = join(libraries, 'libonnxruntime_providers_cuda.so');
    expect(cudaLoaderReason(folder)).toBe(`${shared} is not installed`);
    writeFileSync(shared, libraryThatNeeds('libc.so.6'));
    expect(cudaLoaderReason(folder)).toBe(`${cuda} is not installed`);
    writeFileSync(cuda, libraryThatNeeds('libcublasLt.so.913'));
    expect(cudaLoaderReason(folder)).toBe(
      'libcublasLt.so.913: cannot open shared object file: No such file or directory',
    );
    writeFileSync(cuda, 'no library');
    expect(cudaLoaderReason(folder)).toContain('libonnxruntime_providers_cuda.so: file too short');
    writeFileSync(cuda, libraryThatNeeds('libm.so.6'));
    expect(cudaLoaderReason(folder)).toBeUndefined();
  },
);

/** An empty shared library of Linux on x64 that needs another one. */
function libraryThatNeeds(name: string): Buffer {
  const [dynamicAt, stringsAt, symbolsAt, size] = [0x100, 0x180, 0x1c0, 0x200];
  const file = Buffer.alloc(size);
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(3, 16); // a shared object,
  file.writeUInt16LE(62, 18); // for x86-64
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(64n, 32); // its program headers
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(2, 56);
  const segment = (index: number, type: number, from: number, length: number) => {
    const at = 64 + 56 * index;
    file.writeUInt32LE(type, at);
    file.writeUInt32LE(6, at + 4);
    for (const [place, value] of [from, from, from, length, length, type === 1 ? 0x1000 : 8].entries()) {
      file.writeBigUInt64LE(BigInt(value), at + 8 + 8 * place);
    }
  };
  segment(0, 1, 0, size);
  segment(1, 2, dynamicAt, 6 * 16);
  // Needed library, strings, symbols, size of the strings, size of a symbol, end.
  const entries = [
    [1, 1],
    [5, stringsAt],
    [6, symbolsAt],
    [10, 64],
    [11, 24],
    [0, 0],
  ];
  for (const [i, value] of entries.flat().entries()) file.writeBigUInt64LE(BigInt(value), dynamicAt + 8 * i);
  file.write(name, stringsAt + 1, 'latin1');
  return file;
}
