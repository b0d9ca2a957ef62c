/** @file What the policies of a template let somebody do: a plain evaluation of their statements. */
import type { Template } from '../../cdk/workflow-file.js';

type Value = unknown;

interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | readonly string[];
  readonly Resource: Value;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | number>>>>;
}

/** A request with the condition keys that it carries. */
export interface PolicyRequest {
  readonly action: string;
  readonly resource: string;
  readonly conditionKeys?: Readonly<Record<string, string | number>>;
}

/** `Fn::Join`, `Ref` and `Fn::GetAtt` as one readable text: `<Bucket.Arn>/models/*`. */
export function textOf(value: Value): string {
  if (typeof value === 'string') return value;
  const [[name, argument]] = Object.entries(value as Record<string, unknown>);
  if (name === 'Fn::Join') return (argument as [string, Value[]])[1].map(textOf).join((argument as [string])[0]);
  if (name === 'Fn::GetAtt') return `<${(argument as string[]).join('.')}>`;
  return `<${String(argument)}>`;
}

/** Resources of a type, by their logical ids. */
export const resourcesOf = (template: Template, type: string): [string, Record<string, unknown>][] =>
  Object.entries(template.Resources).flatMap(([id, { Type, Properties }]) =>
    Type === type ? [[id, (Properties ?? {}) as Record<string, unknown>]] : [],
  );

/** The statements of all policies attached to a role. */
export function statementsOfRole(template: Template, roleId: string): Statement[] {
  return resourcesOf(template, 'AWS::IAM::Policy')
    .filter(([, { Roles }]) => (Roles as Value[]).some((role) => textOf(role) === `<${roleId}>`))
    .flatMap(([, policy]) => statementsOf(policy));
}

export const statementsOf = (policy: Record<string, unknown>): Statement[] =>
  (policy.PolicyDocument as { Statement: Statement[] }).Statement;

export const listOf = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : [value as T]);

/** Whether a role may do it: some statement allows it. (No role's policy denies.) */
export const allows = (statements: readonly Statement[], request: PolicyRequest): boolean =>
  statements.some((statement) => statement.Effect === 'Allow' && applies(statement, request));

/** Whether a bucket's policy refuses it, whoever asks. */
export const denies = (statements: readonly Statement[], request: PolicyRequest): boolean =>
  statements.some((statement) => statement.Effect === 'Deny' && applies(statement, request));

function applies({ Action, Resource, Condition = {} }: Statement, request: PolicyRequest): boolean {
  return (
    listOf(Action).some((pattern) => matches(pattern, request.action)) &&
    listOf(Resource).some((pattern) => matches(textOf(pattern), request.resource)) &&
    Object.entries(Condition).every(([operator, keys]) =>
      Object.entries(keys).every(([key, wanted]) => isMet(operator, request.conditionKeys?.[key], wanted)),
    )
  );
}

function isMet(operator: string, got: string | number | undefined, wanted: string | number): boolean {
  switch (operator) {
    case 'Null':
      return (got === undefined) === (wanted === 'true');
    case 'Bool':
      return String(got) === wanted;
    case 'NumericLessThan':
      return got !== undefined && Number(got) < Number(wanted);
    default:
      throw new Error(`operator: Null, Bool or NumericLessThan, got ${operator}`);
  }
}

const matches = (pattern: string, text: string): boolean =>
  new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`, 'su').test(text);

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
