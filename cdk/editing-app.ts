import { App, type AppProps } from 'aws-cdk-lib';
import { EditingStack } from './editing-stack.js';
import { readSettings, type Settings } from './settings.js';

/** Behaviours of the library that are right from now on, but that it does not switch on by itself. */
const featureFlags = {
  '@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy': true,
  '@aws-cdk/aws-iam:minimizePolicies': true,
  '@aws-cdk/aws-events:eventsTargetQueueSameAccount': true,
  '@aws-cdk/core:enablePartitionLiterals': true,
};

/** The app with its one stack, which no account and no region is needed to synthesize. */
export function editingApp(props: AppProps = {}): {
  readonly app: App;
  readonly stack: EditingStack;
  settings: Settings;
} {
  const app = new App({ analyticsReporting: false, ...props, context: { ...featureFlags, ...props.context } });
  const settings = readSettings(app.node);
  return { app, stack: new EditingStack(app, settings.name, settings), settings };
}
