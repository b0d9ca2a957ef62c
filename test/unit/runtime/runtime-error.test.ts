import { expect, it } from 'vitest';
import { PermanentError, TransientError } from '../../../src/errors.js';
import { runtimeError } from '../../../src/runtime/runtime-error.js';

const cuda = { provider: 'cuda' } as const;

it.each([
  'CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=ip-10-0-0-1 ; expr=cudaStreamSynchronize(stream)',
  'CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);',
  'CUDA failure 700: an illegal memory access was encountered ; GPU=0',
  'CUDA failure 46: all CUDA-capable devices are busy or unavailable ; GPU=-1',
  'CUDA error cudaErrorECCUncorrectable:uncorrectable ECC error encountered',
  'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; expr=cublasCreate(&cublas_handle_);',
  'CUBLAS failure 1: CUBLAS_STATUS_NOT_INITIALIZED ; GPU=0',
  'Non-zero status code returned while running MatMul node. CUBLAS error executing cublasGemmHelper: CUBLAS_STATUS_EXECUTION_FAILED',
  'CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR ; GPU=0',
  'WebGPU device lost (2): Device was destroyed.',
  'Failed to allocate memory for requested buffer of size 17179869184',
  'BFCArena::AllocateRawInternal Available memory of 0 is smaller than requested bytes of 1024',
  'std::bad_alloc',
])('another attempt may help, and the device is named: %s', (message) => {
  const cause = new Error(message);
  const error = runtimeError('running a graph', cuda, cause);
  expect(error).toBeInstanceOf(TransientError);
  expect(error.message).toMatch(/^running a graph on device cuda: (a device that works|enough memory), got /);
  expect(error.message).toContain(message);
  expect(error.cause).toBe(cause);
});

it.each([
  'CUDA failure 209: no kernel image is available for execution on the device ; GPU=0',
  'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version',
  'CUBLAS failure 15: CUBLAS_STATUS_NOT_SUPPORTED ; GPU=0',
  'Load model failed: Node (n0) has input size 1 not in range [min=2, max=2].',
])('another attempt cannot help: %s', (message) => {
  expect(runtimeError('compiling a graph', cuda, message)).toBeInstanceOf(PermanentError);
});
