import type { HostMemory } from '@ringwire/guest-memory';
import type { Frame, NetBackend } from '@ringwire/net-backend';
import { VirtioError } from '@ringwire/virtio-spec';
import { PAUSE_AREA_BYTES } from './mac-control.js';
import type { WireDrops } from './wire-counters.js';
import { LANE_BYTES } from './wire-lane.js';
import { RECEIVE_BUFFER_BYTES, type WireControl, type WireLink, type WireSettings } from './wire-settings.js';

const HERE = 'WirePort';
/** Where in its area a wire has what. */
const PAUSES = 0;
const SENDING = PAUSES + PAUSE_AREA_BYTES;
const COMING = SENDING + LANE_BYTES;
const BUFFER = COMING + LANE_BYTES;
export const WIRE_AREA: { readonly [Part in 'PAUSES' | 'SENDING' | 'COMING' | 'BUFFER']: number } = {
  PAUSES,
  SENDING,
  COMING,
  BUFFER,
};
/** Bytes of host memory that a wire works in; a multiple of 8. */
export const WIRE_AREA_BYTES: number = BUFFER + RECEIVE_BUFFER_BYTES;

/** What a {@link WirePort} is made with. */
export interface WirePortOptions extends Partial<WireSettings> {
  /** Of the card, and of all that is plugged in. */
  readonly memory: HostMemory;
  /** Host offset of WIRE_AREA_BYTES bytes that no driver can reach, a multiple of 8. */
  readonly at: number;
  /** µs that go by. */
  readonly now: () => number;
  /** Address of the port, which its PAUSE frames come from: 6 bytes. */
  readonly mac: Uint8Array;
  /** Frames take the time that they take at the link's speed; true unless given. Otherwise they pass flat out. */
  readonly isPaced?: boolean;
  /**
   * Length of the cable to whatever is plugged in that is no card, in m of 5 ns each, in either direction; 0 unless given. Flat
   * out there is no time on it. So long that no more than 131,072 bytes are on it: 20,971 m at 10 Gbit/s.
   */
  readonly cable?: number;
  /** What the card writes of what comes to its host, in Mbit/s, by bytes on the wire; 0, unless given: no limit. */
  readonly hostRate?: number;
}

/** What a wire needs of the switch that it is the wire of. */
export interface CardOfWire {
  readonly wire: { readonly backend: NetBackend };
  /** Functions see the speed from now on; the link of each that has one goes and comes back. */
  setLink(link: Pick<WireLink, 'speed' | 'duplex'>): void;
  /** The wire is the physical function's, to be set. */
  giveWire(control: WireControl): void;
}

/** Told of all that passes a wire, PAUSE frames too. */
export interface WireTap {
  /** @param at when its last bit passed, in ns with a fraction */
  sent(frame: Frame, at: number): void;
  received(frame: Frame, at: number): void;
}

/** Told of frames that are lost at a wire, but for those that are on the cable, or wait, when the link goes: they are counted alone. */
export interface WireDropWatcher {
  /**
   * @param reason any but `card`, of which the switch tells why
   * @param isSent to the other end; otherwise it came from there
   * @param frame  good during the call
   */
  lost(reason: keyof WireDrops, isSent: boolean, frame: Frame): void;
}

/** @throws VirtioError for what cannot be */
export function checkPort({ memory, at, mac, hostRate = 0 }: WirePortOptions): void {
  if (!Number.isInteger(at) || at < 0 || at % 8 !== 0 || at + WIRE_AREA_BYTES > memory.size)
    throw new VirtioError('at', at, `a multiple of 8 with ${WIRE_AREA_BYTES} bytes from there in the memory`, HERE);
  if (mac.length !== 6) throw new VirtioError('mac.length', mac.length, '6', HERE);
  if (!(hostRate >= 0 && Number.isFinite(hostRate)))
    throw new VirtioError('hostRate', hostRate, 'Mbit/s, 0 or more', HERE);
}
