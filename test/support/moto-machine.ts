/** @file A state machine run by the interpreter in moto, with scripted answers in the place of its tasks. */
import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';
import type { AslMachine } from '../../cdk/workflow-file.js';
import type { Answer } from './scripted-workflow.js';

const imports = `
import functools, json, os, sys, threading, time, types
os.environ["MOTO_ACCOUNT_ID"] = "000000000000"
import boto3
from moto import mock_aws
from moto.stepfunctions.parser import models
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.mocking.mock_config import MockedResponseReturn, MockedResponseThrow
`;

// The interpreter has a place for scripted answers, after a task's parameters are evaluated and before its result is
// looked at, but nothing that fills it: these two methods do. No state of the definition has to change for that.
const program = `${imports}
given = json.load(sys.stdin)
functions = set(given["functions"])
lock = threading.Lock()

def response_of(name, answer):
    if "error" in answer:
        if name not in functions:
            return MockedResponseThrow(0, 0, answer["error"], answer["cause"])
        payload = {"FunctionError": "Unhandled", "Payload": json.loads(answer["cause"])}
    else:
        payload = {"Payload": answer["value"]} if name in functions else answer["value"]
    return MockedResponseReturn(0, 0, payload)

# A scripted error takes no name of the language's own: this is what a job that fails comes to in the interpreter.
def fail_job(env, cause):
    name = StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed)
    details = EventDetails(taskFailedEventDetails=TaskFailedEventDetails(error="States.TaskFailed", cause=cause))
    raise FailureEventException(FailureEvent(env, name, HistoryEventType.TaskFailed, details))

def script(answers):
    called = {}
    def current(self):
        name = self.next_state_name
        with lock:
            count = called[name] = called.get(name, 0) + 1
        answer = answers[name][count - 1]
        if answer.get("error") == "States.TaskFailed":
            fail_job(self, answer["cause"])
        return response_of(name, answer)
    Environment.is_mocked_mode = lambda self: True
    Environment.get_current_mocked_response = current

def run(client, machine, case):
    script(case["answers"])
    name, value = case["name"], json.dumps(case["input"])
    arn = client.start_execution(stateMachineArn=machine, name=name, input=value)["executionArn"]
    # Seldom: a question takes as long as some states, and holds them up.
    while (end := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
        time.sleep(0.2)
    events = client.get_execution_history(executionArn=arn)["events"]
    return {key: end.get(key) for key in ("status", "output", "error", "cause")} | {"events": events}

def runs():
    for case in given["cases"]:
        with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
            client = client_of("us-east-1")
            role = "arn:aws:iam::000000000000:role/hookline"
            definition = json.dumps(given["definition"])
            machine = client.create_state_machine(name="hookline", definition=definition, roleArn=role)
            yield run(client, machine["stateMachineArn"], case)

# Made once: the client, what a path means (its parser makes its own tables each time), and the definition's validation.
client_of = functools.cache(lambda region: boto3.client("stepfunctions", region_name=region))
models.AmazonStateLanguageParser = types.SimpleNamespace(parse=functools.cache(models.AmazonStateLanguageParser.parse))
json_path.parse = functools.cache(json_path.parse)
# Retries need no pause here.
retrier_decl.time = types.SimpleNamespace(sleep=lambda seconds: None)
json.dump(list(runs()), sys.stdout, default=str)
`;

/** The Python that has moto's interpreter, if there is one: `HOOKLINE_PYTHON`, else `python3`. */
export function pythonWithMachine(): string | undefined {
  const python = process.env.HOOKLINE_PYTHON || 'python3';
  return spawnSync(python, ['-c', imports]).status === 0 ? python : undefined;
}

/** An execution to run, named `hookline:<name>`, and what its task states answer, call by call. */
export interface MotoCase {
  readonly name: string;
  readonly input: unknown;
  readonly answers: ReadonlyMap<string, readonly Answer[]>;
}

/** How the interpreter ran it. */
export interface MotoRun {
  /** Names of the states of the machine itself in the order in which they were entered. */
  readonly path: readonly string[];
  /** What each task state was called with, in the order of its calls. */
  readonly calls: ReadonlyMap<string, readonly unknown[]>;
  /** Undefined where it failed. */
  readonly output: unknown;
  readonly failure: { readonly error: string; readonly cause: string } | undefined;
}

/** Runs a definition, each case in an account of its own. The task states of `functions` answer as functions do. */
export async function runOnMoto(
  python: string,
  { definition, functions }: { readonly definition: AslMachine; readonly functions: Readonly<Record<string, string>> },
  cases: readonly MotoCase[],
): Promise<MotoRun[]> {
  const child = spawn(python, ['-W', 'ignore', '-c', program], { stdio: ['pipe', 'pipe', 'pipe'] });
  const names = Object.keys(functions);
  child.stdin.end(JSON.stringify({ definition, functions: names, cases: cases.map(scriptOf) }));
  const [printed, logged] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (printed === '') throw new Error(`moto's interpreter: an answer, got\n${logged}`);
  const runs = JSON.parse(printed) as PrintedRun[];
  return runs.map((run) => readRun(definition, run));
}

const scriptOf = ({ name, input, answers }: MotoCase) => ({
  name,
  input,
  answers: Object.fromEntries([...answers].map(([state, all]) => [state, all.map(answerOf)])),
});

const answerOf = (answer: Answer) =>
  answer instanceof Error ? { error: answer.name, cause: answer.message } : { value: answer };

interface PrintedRun {
  readonly status: string;
  readonly output: string | null;
  readonly error: string | null;
  readonly cause: string | null;
  readonly events: readonly PrintedEvent[];
}

interface PrintedEvent {
  readonly id: number;
  readonly previousEventId: number;
  readonly stateEnteredEventDetails?: { readonly name: string };
  readonly lambdaFunctionScheduledEventDetails?: { readonly input: string };
  readonly taskScheduledEventDetails?: { readonly parameters: string };
}

function readRun({ States }: AslMachine, { status, output, error, cause, events }: PrintedRun): MotoRun {
  const entered = events.flatMap(({ stateEnteredEventDetails }) => stateEnteredEventDetails?.name ?? []);
  const hasFailed = status !== 'SUCCEEDED';
  return {
    path: entered.filter((name) => name in States),
    calls: callsIn(events),
    output: output === null ? undefined : JSON.parse(output),
    failure: hasFailed ? { error: error ?? status, cause: cause ?? '' } : undefined,
  };
}

function callsIn(events: readonly PrintedEvent[]): MotoRun['calls'] {
  const byId = new Map(events.map((event) => [event.id, event]));
  const stateOf = (event: PrintedEvent | undefined): string =>
    event?.stateEnteredEventDetails?.name ?? (event ? stateOf(byId.get(event.previousEventId)) : '');
  const calls = new Map<string, unknown[]>();
  for (const event of events) {
    const { lambdaFunctionScheduledEventDetails: called, taskScheduledEventDetails: scheduled } = event;
    const given = called?.input ?? scheduled?.parameters;
    if (given === undefined) continue;
    const state = stateOf(event);
    calls.set(state, [...(calls.get(state) ?? []), asDefined(JSON.parse(given))]);
  }
  return calls;
}

/** As AWS does, the interpreter tells jobs who started them. */
function asDefined(given: { readonly ContainerOverrides?: Readonly<Record<string, unknown>> }): unknown {
  if (given.ContainerOverrides === undefined) return given;
  const { Environment: _, ...overrides } = given.ContainerOverrides;
  return { ...given, ContainerOverrides: overrides };
}
