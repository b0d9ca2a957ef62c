/** @file A search along one coordinate after the other, within a time limit. */
import { canonicalJson } from '../../registry/index.js';

/** One coordinate: the values it may take, each as a part of a point. */
export interface Coordinate<Point> {
  readonly name: string;
  readonly candidates: readonly Partial<Point>[];
}

/** What is searched, and for how long. */
export interface CoordinateSearchRequest<Point, Trial> {
  readonly start: Point;
  readonly coordinates: readonly Coordinate<Point>[];
  /** Most passes over all coordinates; a pass that changes nothing is the last. */
  readonly sweeps: number;
  /** Called once for each distinct point. */
  readonly evaluate: (point: Point, place: TrialPlace) => Promise<Trial>;
  readonly objectiveOf: (trial: Trial) => number;
  /** Whether there is time for another trial after these. It is asked before every trial but the first. */
  readonly hasTime: (trials: readonly Trial[]) => boolean;
}

/** Where a trial stands in the search. */
export interface TrialPlace {
  /** From 0. */
  readonly index: number;
  /** How many trials there will be as far as is known: those that ran, and those that this pass may still need. */
  readonly total: number;
  readonly coordinate: string;
}

/** What a search found. */
export interface CoordinateSearchResult<Trial> {
  /** In the order in which they were run. */
  readonly trials: readonly Trial[];
  readonly best: Trial;
  /** False if the time was up before every point was tried. */
  readonly isComplete: boolean;
}

/**
 * Tries all candidates of a coordinate with the best values of the other coordinates, keeps the best one, and goes on to the
 * next coordinate. Of equally good points the first one tried is kept. No point is evaluated twice.
 */
export async function coordinateSearch<Point extends object, Trial>(
  request: CoordinateSearchRequest<Point, Trial>,
): Promise<CoordinateSearchResult<Trial>> {
  const { coordinates, sweeps, evaluate, objectiveOf, hasTime } = request;
  const trials = new Map<string, Trial>();
  const keyOf = (point: Point) => canonicalJson(point);
  const { start } = request;
  const isOther = (part: Partial<Point>) => keyOf({ ...start, ...part }) !== keyOf(start);
  const others = coordinates.reduce((sum, { candidates }) => sum + candidates.filter(isOther).length, 0);
  const first = await evaluate(start, { index: 0, total: 1 + others, coordinate: coordinates[0]?.name ?? '' });
  trials.set(keyOf(start), first);
  let best = { point: start, trial: first };
  const missing = (coordinate: Coordinate<Point>) =>
    coordinate.candidates.map((part) => ({ ...best.point, ...part })).filter((point) => !trials.has(keyOf(point)));
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const before = best;
    for (const [c, coordinate] of coordinates.entries()) {
      const wanted = missing(coordinate);
      const later = coordinates.slice(c + 1).reduce((sum, other) => sum + missing(other).length, 0);
      const total = trials.size + wanted.length + later;
      for (const point of wanted) {
        if (!hasTime([...trials.values()]))
          return { trials: [...trials.values()], best: best.trial, isComplete: false };
        const trial = await evaluate(point, { index: trials.size, total, coordinate: coordinate.name });
        trials.set(keyOf(point), trial);
        if (objectiveOf(trial) > objectiveOf(best.trial)) best = { point, trial };
      }
    }
    if (best === before) break;
  }
  return { trials: [...trials.values()], best: best.trial, isComplete: true };
}
