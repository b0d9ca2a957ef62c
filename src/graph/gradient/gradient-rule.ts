/** @file What a gradient rule is. */
import type { Value } from '../graph.js';
import type { OperatorAttributes, OperatorName } from '../operator-attributes.js';
import { unbroadcast } from '../shaping.js';

/** What a gradient rule sees of its node. */
export interface Application<Attributes> {
  readonly inputs: readonly Value[];
  readonly output: Value;
  readonly attributes: Attributes;
  /** d loss / d output, of the output's shape and dtype. */
  readonly upstream: Value;
}

/** For each input, how to build d loss / d input, or null if nothing flows into it (an index, a mask, a shape). */
export type GradientRule<Attributes> = (application: Application<Attributes>) => readonly ((() => Value) | null)[];

/**
 * Rules for some operators. Together they make the table, which must name every operator. null means not
 * differentiable: `gradient()` throws if a path needs it.
 */
export type GradientTable<Names extends OperatorName = OperatorName> = {
  readonly [Name in Names]: GradientRule<OperatorAttributes[Name]> | null;
};

/** The rule of an operator whose inputs broadcast: gradients are summed back to the shape of their input. */
export function broadcasting<Attributes>(rule: GradientRule<Attributes>): GradientRule<Attributes> {
  return (application) =>
    rule(application).map((build, index) => build && (() => unbroadcast(build(), application.inputs[index]!.shape)));
}
