/**
 * @file The table of operators. Builders look their operator up here, so nothing that this file imports may use a
 *   builder.
 */
import { elementwiseRules } from './elementwise-rules.js';
import { indexingRules } from './indexing-rules.js';
import type { OperatorTable } from './operator.js';
import { productRules } from './product-rules.js';
import { reductionRules } from './reduction-rules.js';
import { shapingRules } from './shaping-rules.js';

/** Every operator's ONNX form and shape rule. An operator without both does not compile. */
export const operatorTable: OperatorTable = {
  ...elementwiseRules,
  ...productRules,
  ...reductionRules,
  ...indexingRules,
  ...shapingRules,
};
