/** @file Function `judge`: decides to publish, to solve again without the edits that failed, or to reject. */
import { judgeStage } from '../src/workflow/index.js';
import { functionHandler } from './handler.js';

export const handler = functionHandler('judge', judgeStage);
