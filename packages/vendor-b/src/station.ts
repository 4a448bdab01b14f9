import type { Frame, FrameRun } from '@ringwire/net-backend';
import { RECEIVE_MODE } from '@ringwire/nic-spec/vendor-b';

const ADDRESS_BYTES = 6;
const GROUP = 1;

/** Whether an address can be a station's: not a group's, not zero. */
export const isStationMac = (mac: Uint8Array): boolean =>
  mac.length === ADDRESS_BYTES && (mac[0]! & GROUP) === 0 && mac.some((byte) => byte !== 0);

export const sameMac = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, at) => byte === b[at]);

/** Which frames are for a function. */
export class Station {
  readonly mac: Uint8Array;
  /** `RECEIVE_MODE` bits. */
  mode: number = RECEIVE_MODE.BROADCAST;
  private readonly to = new Uint8Array(ADDRESS_BYTES);

  constructor(mac: Uint8Array) {
    this.mac = mac.slice();
  }

  /** As after a reset. */
  begin(mac: Uint8Array): void {
    this.mac.set(mac);
    this.mode = RECEIVE_MODE.BROADCAST;
  }

  /** Whether the frames of a run are for a function, by the header that goes along with them. */
  wantsRun({ word0, word1 }: FrameRun): boolean {
    const { to } = this;
    for (let i = 0; i < ADDRESS_BYTES; i++) to[i] = (i < 4 ? word0 : word1) >>> (8 * (i & 3));
    return this.wantsAddress();
  }

  /** @param frame at least 6 bytes of it are there, or it is for nobody */
  wants(frame: Frame): boolean {
    const { ranges, memory, end } = frame;
    const { to } = this;
    let done = 0;
    let skip = frame.skip;
    for (let range = frame.first; range < end && done < ADDRESS_BYTES; range++) {
      const at = ranges.offset[range]! + skip;
      const take = Math.min(ranges.length[range]! - skip, ADDRESS_BYTES - done);
      for (let i = 0; i < take; i++) to[done++] = memory.u8[at + i]!;
      skip = 0;
    }
    return done === ADDRESS_BYTES && this.wantsAddress();
  }

  private wantsAddress(): boolean {
    const { to, mac, mode } = this;
    if ((mode & RECEIVE_MODE.PROMISCUOUS) !== 0) return true;
    if ((to[0]! & GROUP) === 0) return isSame(to, mac);
    if ((mode & RECEIVE_MODE.ALL_MULTICAST) !== 0) return true;
    return (mode & RECEIVE_MODE.BROADCAST) !== 0 && isBroadcast(to);
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < ADDRESS_BYTES; i++) if (a[i] !== b[i]) return false;
  return true;
}

function isBroadcast(to: Uint8Array): boolean {
  for (let i = 0; i < ADDRESS_BYTES; i++) if (to[i] !== 0xff) return false;
  return true;
}
