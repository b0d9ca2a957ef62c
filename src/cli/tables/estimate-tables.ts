import type { EditEstimate, EstimateRequest, StageEstimate } from '../../estimate/index.js';
import { bytesAsText } from '../terminal/progress.js';
import type { Cell, Terminal } from '../terminal/terminal.js';

/** Prints a prediction: its stages, the whole, other numbers of shards. @param isWordy also what was assumed */
export function printPlan(terminal: Terminal, request: EstimateRequest, plan: EditEstimate, isWordy: boolean): void {
  const { edits, roundSize, shards, machine } = request;
  const { bold } = terminal.colors;
  terminal.print(
    bold(
      `Prediction: ${count(edits)} edits in ${count(plan.rounds)} ${plan.rounds === 1 ? 'round' : 'rounds'} of ${count(roundSize)}, ` +
        `${billions(plan.parameters)} parameters, layers ${plan.layers.join(', ')}, ` +
        `${shards} ${shards === 1 ? 'shard' : 'shards'} on ${plan.instances} x ${machine.instance.name}`,
    ),
  );
  terminal.print();
  terminal.table(stageHead, stageRows(request, plan));
  terminal.print();
  terminal.table(
    ['shards', 'instances', 'time', 'On-Demand', 'Spot'],
    plan.byShards.map(({ shards: number, instances, seconds, costs }) => [
      number,
      instances,
      time(seconds),
      dollars(costs.onDemand),
      dollars(costs.spot),
    ]),
  );
  terminal.print();
  terminal.print(`${bold('memory')}  ${memoryLine(request, plan)}`);
  terminal.print(
    `${bold('store')}   ${bytesAsText(plan.storedBytes)} with the model, ${dollars(plan.storageDollarsPerMonth)} a month`,
  );
  for (const line of plan.limits) terminal.print(`${bold('limit')}   ${line}`);
  if (!isWordy) return;
  terminal.print();
  terminal.print(bold('assumptions'));
  for (const line of plan.assumptions) terminal.print(`- ${line}`);
}

const stageHead = [
  'stage',
  'tasks',
  'FLOPs',
  'time',
  'GPU memory',
  'host memory',
  'fits',
  'stored',
  'On-Demand',
  'Spot',
];

function stageRows({ machine }: EstimateRequest, plan: EditEstimate): Cell[][] {
  const memory = (bytes: number) => (bytes === 0 ? null : bytesAsText(bytes));
  const rowOf = (stage: StageEstimate): Cell[] => [
    stage.stage,
    stage.tasks,
    flops(stage.flops),
    time(stage.seconds),
    machine.kind === 'gpu' ? memory(stage.memory.device) : null,
    memory(stage.memory.host),
    stage.fits ? 'yes' : 'NO',
    stage.storedBytes === 0 ? null : bytesAsText(stage.storedBytes),
    dollars(stage.costs.onDemand),
    dollars(stage.costs.spot),
  ];
  const others = plan.stages.reduce((sum, { costs }) => sum + costs.onDemand, plan.control.onDemand);
  const spot = plan.stages.reduce((sum, { costs }) => sum + costs.spot, plan.control.spot);
  const { onDemand: control } = plan.control;
  return [
    [
      'start',
      plan.instances,
      null,
      time(plan.startSeconds),
      null,
      null,
      null,
      null,
      dollars(plan.costs.onDemand - others),
      dollars(plan.costs.spot - spot),
    ],
    ...plan.stages.map(rowOf),
    ['control', null, null, null, null, null, null, null, dollars(control), dollars(control)],
    [
      'all',
      null,
      flops(plan.flops),
      time(plan.seconds),
      null,
      null,
      plan.stages.every(({ fits }) => fits) ? 'yes' : 'NO',
      bytesAsText(plan.storedBytes),
      dollars(plan.costs.onDemand),
      dollars(plan.costs.spot),
    ],
  ];
}

function memoryLine({ machine }: EstimateRequest, { stages, fittingInstances }: EditEstimate): string {
  const tight = stages.filter(({ fits }) => !fits).map(({ stage }) => stage);
  const which = fittingInstances.length > 0 ? fittingInstances.join(', ') : 'none';
  if (tight.length === 0) return `${machine.instance.name} holds every stage`;
  return (
    `${machine.instance.name} does not hold ${tight.join(', ')}: times and dollars are those of a machine of its speed ` +
    `with enough memory. What holds every stage: ${which}`
  );
}

const count = (number: number): string => number.toLocaleString('en');

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
  return amount < 0.01
    ? '< $0.01'
    : `$${amount.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}
