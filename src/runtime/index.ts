/** @file Running graphs: devices, compiled programs, and dense products for the linear algebra. */
export { cpu, type Device, type DeviceChoice, requireDevice, resolveDevice } from './device.js';
export type { ProgramInput } from './feeds.js';
export { OnnxGemmEngine, withGemmEngine } from './gemm-engine.js';
export { type ModelFile, openModelFile } from './model-file.js';
export { loadOnnxRuntime } from './onnx-runtime.js';
export { type CompileOptions, compile, mostWidenedOnCpu, type Program, rowsPerBatch } from './program.js';
