/** @file Function `notify`: records the outcome of an execution, and puts it into words. */
import { notifyStage } from '../src/workflow/index.js';
import { functionHandler } from './handler.js';

export const handler = functionHandler('notify', notifyStage);
