/** @file Function `plan`: plans a round of the oldest pending edits. */
import { planStage } from '../src/workflow/index.js';
import { functionHandler } from './handler.js';

export const handler = functionHandler('plan', planStage);
