import { Duration } from 'aws-cdk-lib';
import type { JobQueue } from 'aws-cdk-lib/aws-batch';
import {
  Alarm,
  ComparisonOperator,
  Dashboard,
  GraphWidget,
  type IMetric,
  MathExpression,
  Metric,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Rule } from 'aws-cdk-lib/aws-events';
import { FilterPattern, type LogGroup, MetricFilter } from 'aws-cdk-lib/aws-logs';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { EventLog } from './event-log.js';
import { eventSource } from './notifications.js';
import type { Settings } from './settings.js';

export interface MonitoringProps {
  readonly settings: Settings;
  readonly stateMachine: StateMachine;
  readonly queue: JobQueue;
  readonly deadLetters: IQueue;
  readonly eventLog: EventLog;
  readonly topic: ITopic;
}

const period = Duration.minutes(5);

/** Alarms that need a person, and a dashboard of the rounds. */
export class Monitoring extends Construct {
  readonly #props: MonitoringProps;

  constructor(scope: Construct, id: string, props: MonitoringProps) {
    super(scope, id);
    this.#props = props;
    new Rule(this, 'KeepJobEvents', {
      description: 'Keeps the state changes of GPU tasks in the event log',
      eventPattern: {
        source: ['aws.batch'],
        detailType: ['Batch Job State Change'],
        detail: { jobQueue: [props.queue.jobQueueArn], status: ['SUCCEEDED', 'FAILED'] },
      },
      targets: [props.eventLog],
    });
    const rounds = this.#roundMetrics();
    const jobs = this.#jobMetrics();
    this.#alarms(rounds, jobs);
    this.#dashboard(rounds, jobs);
  }

  #roundMetrics() {
    const { stateMachine } = this.#props;
    const count = (outcome: string) =>
      this.#counted(`${outcome}Rounds`, [
        `$.source = "${eventSource}"`,
        `$.detail.outcome = "${outcome.toUpperCase()}"`,
      ]);
    const options = { period, statistic: Stats.SUM };
    return {
      published: count('Published'),
      rejected: count('Rejected'),
      failed: stateMachine.metricFailed(options),
      timedOut: stateMachine.metricTimedOut(options),
      aborted: stateMachine.metricAborted(options),
      time: stateMachine.metricTime({ period, statistic: Stats.MAXIMUM }),
    };
  }

  /**
   * Batch publishes no durations, but its events carry three times. The difference of their averages over the same
   * events is the average duration.
   */
  #jobMetrics() {
    const moment = (name: string) =>
      this.#filtered(`Task${name}`, ['$.source = "aws.batch"', '$.detail.startedAt = *', '$.detail.stoppedAt = *'], {
        value: `$.detail.${name.charAt(0).toLowerCase()}${name.slice(1)}`,
        statistic: Stats.AVERAGE,
      });
    const [createdAt, startedAt, stoppedAt] = ['CreatedAt', 'StartedAt', 'StoppedAt'].map(moment);
    const usingMetrics = { createdAt, startedAt, stoppedAt };
    const minutes = (label: string, later: keyof typeof usingMetrics, earlier: keyof typeof usingMetrics) =>
      new MathExpression({
        label,
        period,
        expression: `(${later} - ${earlier}) / 60000`,
        usingMetrics: { [earlier]: usingMetrics[earlier], [later]: usingMetrics[later] },
      });
    return {
      wait: minutes('Wait in the queue, minutes', 'startedAt', 'createdAt'),
      run: minutes('Time on a GPU, minutes', 'stoppedAt', 'startedAt'),
    };
  }

  #counted(name: string, conditions: readonly string[]): Metric {
    return this.#filtered(name, conditions, { value: '1', statistic: Stats.SUM });
  }

  /** A metric of the events that meet all conditions. */
  #filtered(name: string, conditions: readonly string[], { value, statistic }: { value: string; statistic: string }) {
    const { settings, eventLog } = this.#props;
    new MetricFilter(this, name, {
      logGroup: eventLog.logGroup as LogGroup,
      filterPattern: FilterPattern.literal(`{ ${conditions.map((one) => `(${one})`).join(' && ')} }`),
      metricNamespace: metricNamespace(settings),
      metricName: name,
      metricValue: value,
    });
    return new Metric({ namespace: metricNamespace(settings), metricName: name, statistic, period });
  }

  #alarms(rounds: RoundMetrics, jobs: JobMetrics): void {
    const { alarms } = this.#props.settings;
    const letters = this.#props.deadLetters.metricApproximateNumberOfMessagesVisible({
      period,
      statistic: Stats.MAXIMUM,
    });
    this.#alarm('RoundFailed', rounds.failed, 1, 'A round failed: see its record under failures/ and the execution.');
    this.#alarm(
      'RoundRejected',
      rounds.rejected,
      1,
      'A round or a batch was rejected: see the report that its event names.',
    );
    this.#alarm('RoundStuck', rounds.timedOut, 1, 'An execution ran into its timeout.');
    this.#alarm('RoundAborted', rounds.aborted, 1, 'An execution was aborted.');
    this.#alarm('RoundSlow', rounds.time, alarms.roundHours * 3_600_000, `A round took over ${alarms.roundHours} h.`);
    this.#alarm(
      'QueueWait',
      jobs.wait,
      alarms.queueWaitMinutes,
      'GPU tasks wait for instances: capacity, quota or limits.',
    );
    this.#alarm(
      'TaskTime',
      jobs.run,
      alarms.taskHours * 60,
      'GPU tasks take long: a larger round, or a slow instance.',
    );
    this.#alarm('DeadLetters', letters, 1, 'An event was not delivered: see the dead letter queue.');
  }

  #alarm(id: string, metric: IMetric, threshold: number, alarmDescription: string): void {
    const alarm = new Alarm(this, id, {
      alarmDescription,
      metric,
      threshold,
      evaluationPeriods: 1,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(new SnsAction(this.#props.topic));
  }

  #dashboard(rounds: RoundMetrics, jobs: JobMetrics): void {
    const { settings, deadLetters } = this.#props;
    const graph = (title: string, ...left: IMetric[]) => new GraphWidget({ title, left, width: 12 });
    new Dashboard(this, 'Dashboard', {
      dashboardName: settings.name,
      widgets: [
        [
          graph('Rounds', rounds.published, rounds.rejected, rounds.failed, rounds.timedOut, rounds.aborted),
          graph('Longest round', rounds.time),
        ],
        [
          graph('GPU tasks', jobs.wait, jobs.run),
          graph('Dead letters', deadLetters.metricApproximateNumberOfMessagesVisible()),
        ],
      ],
    });
  }
}

type RoundMetrics = Readonly<Record<'published' | 'rejected' | 'failed' | 'timedOut' | 'aborted' | 'time', IMetric>>;
type JobMetrics = Readonly<Record<'wait' | 'run', IMetric>>;

const metricNamespace = ({ name }: Settings): string => `Hookline/${name}`;
