import type { EditEstimate, EstimateRequest, StageEstimate } from '../../estimate/index.js';
import { bytesAsText } from '../terminal/progress.js';
import type { Cell, Terminal } from '../terminal/terminal.js';

/** Prints an estimate: stages, totals, other numbers of shards. @param isWordy whether to print the assumptions too */
export function printEstimate(
  terminal: Terminal,
  request: EstimateRequest,
  estimate: EditEstimate,
  isWordy: boolean,
): void {
  const { edits, roundSize, shards, machine } = request;
  const { bold } = terminal.colors;
  terminal.print(
    bold(
      `Prediction: ${count(edits)} edits in ${count(estimate.rounds)} ${estimate.rounds === 1 ? 'round' : 'rounds'} of ${count(roundSize)}, ` +
        `${billions(estimate.parameters)} parameters, layers ${estimate.layers.join(', ')}, ` +
        `${shards} ${shards === 1 ? 'shard' : 'shards'} on ${estimate.instances} x ${machine.instance.name}`,
    ),
  );
  terminal.print();
  terminal.table(stageHead, stageRows(request, estimate));
  terminal.print();
  terminal.table(
    ['shards', 'instances', 'time', 'On-Demand', 'Spot'],
    estimate.byShards.map(({ shards: number, instances, seconds, costs }) => [
      number,
      instances,
      time(seconds),
      dollars(costs.onDemand),
      dollars(costs.spot),
    ]),
  );
  terminal.print();
  terminal.print(`${bold('memory')}  ${memoryLine(request, estimate)}`);
  terminal.print(
    `${bold('store')}   ${bytesAsText(estimate.storedBytes)} with the model, ${dollars(estimate.storageDollarsPerMonth)} a month`,
  );
  for (const line of estimate.limits) terminal.print(`${bold('limit')}   ${line}`);
  if (!isWordy) return;
  terminal.print();
  terminal.print(bold('assumptions'));
  for (const line of estimate.assumptions) terminal.print(`- ${line}`);
}

const stageHead = [
  ...['stage', 'tasks', 'FLOPs', 'time', 'GPU memory', 'host memory', 'fits', 'stored', 'On-Demand', 'Spot'],
];

/** A line of the table: a stage, or a row that has only some of a stage's columns. */
type StageLine = Pick<StageEstimate, 'costs'> &
  Partial<Pick<StageEstimate, 'tasks' | 'flops' | 'seconds' | 'memory' | 'fits' | 'storedBytes'>>;

function stageRows({ machine }: EstimateRequest, estimate: EditEstimate): Cell[][] {
  const { stages, control, costs } = estimate;
  const line = (name: string, { tasks, flops: work, seconds, memory, fits, storedBytes, costs: each }: StageLine) => [
    name,
    tasks,
    work === undefined ? null : flops(work),
    seconds === undefined ? null : time(seconds),
    machine.kind === 'gpu' ? size(memory?.device) : null,
    size(memory?.host),
    fits === undefined ? null : fits ? 'yes' : 'NO',
    size(storedBytes),
    dollars(each.onDemand),
    dollars(each.spot),
  ];
  const started = {
    onDemand: costs.onDemand - stages.reduce((sum, stage) => sum + stage.costs.onDemand, control.onDemand),
    spot: costs.spot - stages.reduce((sum, stage) => sum + stage.costs.spot, control.spot),
  };
  return [
    line('start', { tasks: estimate.instances, seconds: estimate.startSeconds, costs: started }),
    ...stages.map((stage) => line(stage.stage, stage)),
    line('control', { costs: { onDemand: control.onDemand, spot: control.onDemand } }),
    line('all', { ...estimate, fits: stages.every(({ fits }) => fits) }),
  ];
}

const size = (bytes = 0): string | null => (bytes === 0 ? null : bytesAsText(bytes));

function memoryLine({ machine }: EstimateRequest, { stages, fittingInstances }: EditEstimate): string {
  const tight = stages.filter(({ fits }) => !fits).map(({ stage }) => stage);
  const which = fittingInstances.length > 0 ? fittingInstances.join(', ') : 'none';
  if (tight.length === 0) return `${machine.instance.name} holds every stage`;
  return (
    `${machine.instance.name} does not hold ${tight.join(', ')}: times and dollars are those of a machine of its speed ` +
    `with enough memory. What holds every stage: ${which}`
  );
}

/** Formats a number with commas between thousands. `toLocaleString` would load the data of all languages. */
const count = (number: number | string): string => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ',');

const billions = (number: number): string =>
  number >= 1e9 ? `${(number / 1e9).toFixed(2)} billion` : `${(number / 1e6).toFixed(1)} million`;

const units = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];

/** `1.23 P` of FLOPs. */
function flops(number: number): string {
  const power = number < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(number) / 3));
  return `${Number((number / 1000 ** power).toPrecision(3))} ${units[power]}`.trim();
}

/** Seconds as `5.2 s`, `12 min`, `3.4 h` or `12 days`. */
function time(seconds: number): string {
  const short = (value: number) => Number(value.toPrecision(value >= 100 ? 3 : 2));
  if (seconds < 120) return `${short(seconds)} s`;
  if (seconds < 7200) return `${short(seconds / 60)} min`;
  if (seconds < 3 * 86_400) return `${short(seconds / 3600)} h`;
  return `${short(seconds / 86_400)} days`;
}

function dollars(amount: number): string {
  if (amount === 0) return '$0';
  if (amount < 0.01) return '< $0.01';
  const [whole, cents] = amount.toFixed(2).split('.');
  return `$${count(whole)}.${cents}`;
}
