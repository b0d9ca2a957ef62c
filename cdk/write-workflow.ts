/** @file Writes the synthesized state machine for running it without AWS: `node write-workflow.js <path>`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { synthesizedTemplate } from './synthesize.js';
import { workflowFile } from './workflow-file.js';

const path = process.argv[2];
if (path === undefined) throw new Error('write-workflow: the path of the file to write, got none');
const text = JSON.stringify(workflowFile(synthesizedTemplate()), null, 2);
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, `${text}\n`);
