import { VirtioError } from '@ringwire/virtio-spec';
import { BYTE_MILLIBITS } from '../nanoseconds.js';
import { LANE_BYTES } from './wire-lane.js';

/** Two thirds of the speed of light, as in copper and in glass. */
const NANOSECONDS_PER_METRE = 5;
/** What is on a cable waits in a lane beside what is still to be sent. */
const MOST_ON_CABLE = LANE_BYTES / 2;

/** How long a bit is on a cable, in ns. */
export const cableDelay = (metres: number): number => metres * NANOSECONDS_PER_METRE;

/** @param speed Mbit/s @throws VirtioError for a cable that holds more than there is room for */
export function checkCable(metres: number, speed: number): void {
  const most = Math.floor((MOST_ON_CABLE * BYTE_MILLIBITS) / speed / NANOSECONDS_PER_METRE);
  if (!(metres >= 0 && metres <= most))
    throw new VirtioError('cable', metres, `0 to ${most} m at ${speed} Mbit/s`, 'WirePort');
}
