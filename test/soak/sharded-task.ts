/**
 * @file The container's entry point as `--only shards` starts it: notes when it starts and ends, pauses for a while, so that
 * tasks of a Map end in another order than they began, and is killed at its first attempt where that is asked for.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseTask } from '../../containers/task-arguments.js';
import { uniform } from '../support/random-matrix.js';
import { runChaoticTask } from './chaotic-task.js';
import { type ShardRun, shardRunVariable } from './messages.js';

const { log, seed, longestPauseSeconds, killedOnce } = JSON.parse(process.env[shardRunVariable] ?? '') as ShardRun;
const words = process.argv.slice(2);
const { stage, shard } = parseTask(words);
const name = `${stage} ${shard}`;
appendFileSync(log, `begin ${name}\n`);
const begins = readFileSync(log, 'utf8')
  .split('\n')
  .filter((line) => line === `begin ${name}`);
await sleep(1000 * longestPauseSeconds * uniform(seed + 7919 * shard + stage.length)());
if (begins.length === 1 && killedOnce.includes(name)) process.kill(process.pid, 'SIGKILL');
process.exitCode = await runChaoticTask(words, () => undefined);
appendFileSync(log, `end ${name}\n`);
