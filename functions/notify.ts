/** @file Function `notify`: records what an execution came to, and says it in words. */
import { notifyStage } from '../src/workflow/index.js';
import { functionHandler } from './handler.js';

export const handler = functionHandler('notify', notifyStage);
