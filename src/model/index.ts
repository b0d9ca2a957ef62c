export type { SiteVisitor } from './blocks/architecture.js';
export type { ModelConfig } from './blocks/config.js';
export { declarePacking, type Packing, packSequences } from './blocks/packing.js';
export { embedTokens, runBlocks, vocabularyLogits } from './forward.js';
export { type ImportDtype, importGguf } from './gguf/index.js';
export { downloadHubModel } from './hub/index.js';
export { loadModel, type Model, modelDigest, readDownProjection } from './model.js';
export { readModelConfig } from './read-model-config.js';
export { loadTokenizer, type Tokenizer } from './tokenizer.js';
