/** @file Function `gate`: publish, drop offenders, or reject. */
import { gateStage } from '../src/workflow/index.js';
import { functionHandler } from './handler.js';

export const handler = functionHandler('gate', gateStage);
