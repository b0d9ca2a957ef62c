import { App, type AppProps } from 'aws-cdk-lib';
import { EditingStack } from './editing-stack.js';
import { readSettings, type Settings } from './settings.js';

/** Recommended behaviours of the library that are off by default. */
const featureFlags = {
  '@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy': true,
  '@aws-cdk/aws-iam:minimizePolicies': true,
  '@aws-cdk/aws-events:eventsTargetQueueSameAccount': true,
  '@aws-cdk/core:enablePartitionLiterals': true,
};

/** The app with its one stack. Synthesis needs no account and no region. */
export function editingApp(props: AppProps = {}): {
  readonly app: App;
  readonly stack: EditingStack;
  settings: Settings;
} {
  const app = new App({ analyticsReporting: false, ...props, context: { ...featureFlags, ...props.context } });
  const settings = readSettings(app.node);
  return { app, stack: new EditingStack(app, settings.name, settings), settings };
}
