import { type IAspect, Stack } from 'aws-cdk-lib';
import { CfnRole } from 'aws-cdk-lib/aws-iam';
import type { IConstruct } from 'constructs';

/** EC2 names no account when it takes the role of an instance. Nobody else's instance can be given one. */
const namesNoAccount: ReadonlySet<unknown> = new Set(['ec2.amazonaws.com']);

interface TrustPolicy {
  readonly Statement: readonly { readonly Principal: { readonly Service?: unknown } }[];
}

/** Lets services take a role of the stack on behalf of this account only, also roles that the library makes. */
export class TrustOwnAccountOnly implements IAspect {
  visit(node: IConstruct): void {
    if (!CfnRole.isCfnRole(node)) return;
    const { account } = Stack.of(node);
    const policy = Stack.of(node).resolve(node.assumeRolePolicyDocument) as TrustPolicy;
    policy.Statement.forEach(({ Principal }, index) => {
      if (namesNoAccount.has(Principal.Service)) return;
      const condition = `AssumeRolePolicyDocument.Statement.${index}.Condition.StringEquals.aws:SourceAccount`;
      node.addPropertyOverride(condition, account);
    });
  }
}
