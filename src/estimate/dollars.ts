/** @file Costs of instances, requests, storage and the control plane. */
import type { Machine } from './rates.js';
import type { Rates } from './rates-schema.js';

/** Dollars with On-Demand instances, and with Spot instances. */
export interface Costs {
  readonly onDemand: number;
  readonly spot: number;
}

const same = (dollars: number): Costs => ({ onDemand: dollars, spot: dollars });

export const sumCosts = (...all: readonly Costs[]): Costs => ({
  onDemand: all.reduce((sum, { onDemand }) => sum + onDemand, 0),
  spot: all.reduce((sum, { spot }) => sum + spot, 0),
});

/** Instances that are held for this many seconds. */
export function instanceDollars({ instance }: Machine, instances: number, seconds: number): Costs {
  const hours = (instances * seconds) / 3600;
  return { onDemand: hours * instance.dollarsPerHour, spot: hours * instance.spotDollarsPerHour };
}

/** Requests to the object store. */
export function requestDollars(
  { services }: Rates,
  { puts, gets }: { readonly puts: number; readonly gets: number },
): Costs {
  return same((puts * services.putDollarsPer1000 + gets * services.getDollarsPer1000) / 1000);
}

/** Storage of bytes for a month. */
export const storageDollars = ({ services }: Rates, bytes: number): number =>
  (bytes / 1e9) * services.storageDollarsPerGBMonth;

/** The work of the state machine and its functions. */
export interface ControlPlane {
  readonly rounds: number;
  /** Tasks of one round's stages. */
  readonly tasks: number;
  /** Bytes of all versions in the end. Functions verify the base of every round. */
  readonly baseBytes: number;
}

/** Transitions of a round beside those of its tasks, calls of functions, and the seconds of each at 1 GB. */
const roundTransitions = 40;
const taskTransitions = 4;
const roundCalls = 12;
const callSeconds = 1.5;
/** Bytes per second that a function reads and digests. */
const verifiedBytesPerSecond = 80e6;

/** State transitions and functions. A rough estimate, because they cost little compared with instances. */
export function controlDollars({ services }: Rates, { rounds, tasks, baseBytes }: ControlPlane): Costs {
  const transitions = rounds * (roundTransitions + taskTransitions * tasks);
  const calls = rounds * roundCalls;
  // The base of the middle round is half of the last one's.
  const seconds = calls * callSeconds + (rounds * (baseBytes / 2)) / verifiedBytesPerSecond;
  return same(
    (transitions * services.transitionDollarsPer1000) / 1000 +
      (calls * services.functionDollarsPerMillion) / 1e6 +
      seconds * services.functionDollarsPerGBSecond,
  );
}
