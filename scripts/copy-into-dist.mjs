/** @file What the package carries besides what is compiled. */
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

// npm never packs the lock file of the root, and whoever builds the image or the stack from the package needs it. It lies in a
// folder of its own, because the CDK app takes the nearest folder above it with a lock file for the root.
mkdirSync(join(root, 'dist/lock'), { recursive: true });
copyFileSync(join(root, 'package-lock.json'), join(root, 'dist/lock/package-lock.json'));

// ONNX Runtime for the CPU of Linux on x64. Only there its package has an install script that downloads something: the CUDA
// library, from elsewhere than the npm registry. Where that fails, npm leaves the package out, and this copy runs.
const require = createRequire(import.meta.url);
const installed = dirname(dirname(require.resolve('onnxruntime-node')));
const copy = join(root, 'dist/onnxruntime');
const platform = 'bin/napi-v6/linux/x64';

cpSync(join(installed, 'dist'), join(copy, 'dist'), {
  recursive: true,
  filter: (path) => !/\.(map|d\.ts)$/.test(path),
});
for (const file of ['onnxruntime_binding.node', 'libonnxruntime.so.1']) {
  cpSync(join(installed, platform, file), join(copy, platform, file));
}

const { version, license, repository, main } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
const described = { name: 'onnxruntime-node', private: true, version, license, repository, main, type: 'commonjs' };
writeFileSync(join(copy, 'package.json'), `${JSON.stringify(described, null, 2)}\n`);
writeFileSync(
  join(copy, 'LICENSE'),
  `MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`,
);
