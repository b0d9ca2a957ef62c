export { type PresetSettings, presetFor, readPreset } from '../editing/index.js';
