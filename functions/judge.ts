/** @file Function `judge`: publish, solve again without the edits that failed, or reject. */
import { judgeStage } from '../src/workflow/index.js';
import { functionHandler } from './handler.js';

export const handler = functionHandler('judge', judgeStage);
