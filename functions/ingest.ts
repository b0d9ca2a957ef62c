/** @file Function `ingest`: makes pending units from a dropped file. */
import { ingestStage } from '../src/workflow/index.js';
import { functionHandler } from './handler.js';

export const handler = functionHandler('ingest', ingestStage);
