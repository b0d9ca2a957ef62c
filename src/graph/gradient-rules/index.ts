/** @file How gradients flow back through each operator. */
export { gradientTable } from './gradient-table.js';
