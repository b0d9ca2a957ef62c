export type { PastKeysValues, Site, SiteVisitor } from './architecture.js';
export { supportedModelTypes } from './architectures/index.js';
export type { Activation, ModelConfig, RotaryConfig } from './config.js';
export { type BlockRange, embedTokens, runBlocks, vocabularyLogits } from './forward.js';
export { type ImportDtype, type ImportOptions, importGguf } from './gguf/index.js';
export { loadModel, type Model, modelDigest, readDownProjection } from './model.js';
export { declarePacking, type Packing, packSequences, type SequenceExtent } from './packing.js';
export { type ReadModelConfig, readModelConfig } from './read-model-config.js';
export { type Encoding, loadTokenizer, type Tokenizer } from './tokenizer.js';
