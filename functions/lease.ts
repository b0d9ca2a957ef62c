/** @file Function `lease`: takes the model for an execution, or gives it back. */
import { leaseStage } from '../src/workflow/index.js';
import { functionHandler } from './handler.js';

export const handler = functionHandler('lease', leaseStage);
