import { encodeHookFile } from '../editing/index.js';
import type { LatestVersion } from '../registry/index.js';
import { gateThresholds } from './gate-thresholds.js';
import { type PublishVersionRequest, publishVersion } from './publish-version.js';
import type { WrittenRound } from './run-round.js';
import type { Workbench } from './workbench.js';

/** What is published: a written round with its measurements, on top of a base version. */
export interface PublishRoundRequest
  extends Pick<
    PublishVersionRequest,
    'store' | 'modelId' | 'modelDigest' | 'statisticsDigests' | 'base' | 'metrics' | 'report' | 'publishedBy'
  > {
  readonly round: WrittenRound;
}

/** Publishes a round of a bench as a version, with the sketches where it is the first one. */
export async function publishRound(bench: Workbench, request: PublishRoundRequest): Promise<LatestVersion> {
  const { round, ...version } = request;
  const { settings, model, sketches } = bench;
  const { segment, state, edits } = round;
  return publishVersion({
    ...version,
    ...{ settings, edits, dModel: model.config.dModel, dInner: model.config.dInner },
    thresholds: gateThresholds(state),
    hooks: encodeHookFile({ segment, sketches: request.base === undefined ? sketches : [] }),
    removedIds: segment.removedIds,
  });
}
