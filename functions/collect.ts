/** @file Function `collect`: starts executions for pending edits. */
import { collectStage } from '../src/workflow/index.js';
import { functionHandler } from './handler.js';

export const handler = functionHandler('collect', collectStage);
