/** @file Entry of the CDK app: `npx cdk synth`, `npx cdk deploy`. */
import { Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { editingApp } from './editing-app.js';

const { app } = editingApp();
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
app.synth();
