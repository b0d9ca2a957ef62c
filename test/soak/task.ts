/** @file The container's entry point over a store whose replies are lost: what a runner of a soak starts as its tasks. */
import type { Message } from './messages.js';
import { noticePrefix } from './messages.js';

const tell = (message: Message) => console.log(JSON.stringify({ notice: noticePrefix + JSON.stringify(message) }));
const [stage] = process.argv.slice(2);

// Told before anything is loaded, so that the process can be killed while it starts.
tell({ kind: 'task', pid: process.pid, stage });
const { runChaoticTask } = await import('./chaotic-task.js');
process.exitCode = await runChaoticTask(process.argv.slice(2), tell);
tell({ kind: 'task ended', pid: process.pid, stage });
