import { RING_TRAFFIC_TEXT, ringTraffic } from '@ringwire/compare';
import { type CasePlan, queueSizeOf } from './case-plan.js';
import type { FrameSet } from './frame-set.js';

const LINE = 64;

/** Cache lines per frame that one side writes and the other reads. */
export interface CacheLines {
  readonly ring: number;
  readonly payload: number;
}

/** What {@link cacheLines} takes for granted: printed beside its figures. */
export const CACHE_LINES_TEXT: string =
  `cache lines that go from one core to the other per frame: ${RING_TRAFFIC_TEXT}, as are the device's own copies. ` +
  'Payload is counted as well. In one thread the lines stay where they are.';

/** Of the rings by a replay, of the payload by its length. */
export function cacheLines(plan: CasePlan, frames: FrameSet): CacheLines {
  if (plan.kind === 'iommu') return { ring: 0, payload: 0 };
  const { layout, batch: burst, variant } = plan;
  const ring = ringTraffic({
    layout,
    size: queueSizeOf(plan),
    burst,
    variant: variant === 'event_idx' ? undefined : variant,
  }).lines;
  const payload = frames.reduce((sum, { length }) => sum + Math.ceil(length / LINE), 0) / frames.length;
  // The device's header lies in a line of its own, in front of the frame; what comes back goes through a second ring.
  if (plan.net !== undefined) {
    const ways = plan.net.task === 'loop' || plan.net.task === 'ping' ? 2 : 1;
    return { ring: ways * ring, payload: ways * (payload + 1) };
  }
  return { ring, payload: plan.kind === 'ringcost' ? 0 : payload };
}
