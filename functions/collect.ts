/** @file Function `collect`: starts executions for what is left. */
import { collectStage } from '../src/workflow/index.js';
import { functionHandler } from './handler.js';

export const handler = functionHandler('collect', collectStage);
