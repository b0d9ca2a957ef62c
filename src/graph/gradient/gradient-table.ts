/** @file The table of gradient rules. It is not in the table of operators because its rules use the builders. */
import { elementwiseGradients } from './elementwise-gradients.js';
import type { GradientTable } from './gradient-rule.js';
import { indexingGradients } from './indexing-gradients.js';
import { productGradients } from './product-gradients.js';
import { reductionGradients } from './reduction-gradients.js';
import { shapingGradients } from './shaping-gradients.js';

/** Every operator's gradient rule, or null if it has none. An operator without an entry does not compile. */
export const gradientTable: GradientTable = {
  ...elementwiseGradients,
  ...productGradients,
  ...reductionGradients,
  ...indexingGradients,
  ...shapingGradients,
};
