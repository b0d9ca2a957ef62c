/** @file The one table of gradient rules. It stands apart from the operators' own table because its rules use the builders. */
import { elementwiseGradients } from './elementwise-gradients.js';
import type { GradientTable } from './gradient-rule.js';
import { indexingGradients } from './indexing-gradients.js';
import { productGradients } from './product-gradients.js';
import { reductionGradients } from './reduction-gradients.js';
import { shapingGradients } from './shaping-gradients.js';

/** Every operator's gradient rule, or null where it has none; an operator without an entry does not compile. */
export const gradientTable: GradientTable = {
  ...elementwiseGradients,
  ...productGradients,
  ...reductionGradients,
  ...indexingGradients,
  ...shapingGradients,
};
