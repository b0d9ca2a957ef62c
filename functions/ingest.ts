/** @file Function `ingest`: makes pending units of what was dropped. */
import { ingestStage } from '../src/workflow/index.js';
import { functionHandler } from './handler.js';

export const handler = functionHandler('ingest', ingestStage);
