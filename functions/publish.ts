/** @file Function `publish`: ends a round, with a version or without one. */
import { publishStage } from '../src/workflow/index.js';
import { functionHandler } from './handler.js';

export const handler = functionHandler('publish', publishStage);
