import { HostMemory, PageAllocator, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, Frame, type FrameSink, frameBytes, LearningSwitch, type NetBackend } from '@ringwire/net-backend';
import { isVdpaRefusal, type VdpaDevice, type VdpaHost, type VdpaParent } from '@ringwire/vdpa';
import { MovingRam } from '@ringwire/vdpa/testing';
import { ixgbeParent, vendorBParent } from '@ringwire/vdpa-vendors';
import { announcement, type StationAddress } from './packets.js';
import { Station } from './station.js';

const HOST_BYTES = 0x400_0000;
export const RAM_BYTES = 0x80_0000;
/** Where the guest has its RAM. */
export const RAM_GPA = 0x4000_0000;
const FRAME_BYTES = 2048;

export const GUEST: StationAddress = { mac: Uint8Array.of(2, 0, 0, 0, 0, 1), ip: Uint8Array.of(192, 0, 2, 1) };
export const NEIGHBOUR: StationAddress = { mac: Uint8Array.of(2, 0, 0, 0, 0, 2), ip: Uint8Array.of(192, 0, 2, 2) };

/** A machine where the guest can be: a vendor's card, of which it has a virtual function as a vDPA device. */
export interface Place {
  readonly name: string;
  readonly parent: VdpaParent;
  /** Tell the switch that the guest is here now. */
  announce(): void;
}

/** Two machines with cards of different vendors, a neighbour, and the switch that all are plugged into. */
export class Lab {
  readonly memory: HostMemory = HostMemory.create(HOST_BYTES + 2 * RAM_BYTES);
  /** The guest's RAM: what it has, and where a move brings it. */
  readonly ram: MovingRam = new MovingRam(this.memory, HOST_BYTES, HOST_BYTES + RAM_BYTES, RAM_BYTES, RAM_GPA);
  readonly ramHost: number = HOST_BYTES;
  /** With the 82599, and with vendor B's card. */
  readonly places: readonly [Place, Place];
  readonly neighbour: Station;

  /** @param now a clock in µs that never goes back */
  constructor(now: () => number) {
    const host: VdpaHost = { memory: this.memory, pages: new PageAllocator(0, HOST_BYTES), now };
    const { ports } = new LearningSwitch(3);
    const card = (port: number) => ({
      name: `pci/0000:0${port + 1}:00.0`,
      backend: (place: number) => (place < 0 ? NOWHERE : ports[port]!),
      functions: 1,
      net: { holdWhenFull: true },
    });
    const at = host.pages.allocate(FRAME_BYTES);
    const announce = (port: number) => () => void sendAt(this.memory, at, ports[port]!, announcement(GUEST.mac));
    this.places = [
      { name: '82599', parent: ixgbeParent(host, card(0)), announce: announce(0) },
      { name: 'vendor B', parent: vendorBParent(host, card(1)), announce: announce(1) },
    ];
    const link = { now, send: (frame: Uint8Array) => sendAt(this.memory, at, ports[2]!, frame) };
    this.neighbour = new Station(NEIGHBOUR, GUEST.ip, link);
    ports[2]!.attach({
      offloads: 0,
      receive: (frame) => {
        this.neighbour.receive(frameBytes(frame));
        return DELIVERED.ACCEPTED;
      },
    });
  }
}

/** @returns a place's device for the guest */
export function addDevice({ name, parent }: Place): VdpaDevice {
  const device = parent.add('guest', { mac: GUEST.mac });
  if (isVdpaRefusal(device)) throw new Error(`${name}: ${device.message}`);
  return device;
}

/** What the physical functions are plugged into. */
const NOWHERE: NetBackend = { offloads: 0, attach: () => {}, receive: () => DELIVERED.DROPPED, pump: () => 0 };

/**
 * Bring a frame to a port of a switch.
 * @param at host offset of room for it
 * @returns false when whoever it is for has no room now
 */
function sendAt(memory: HostMemory, at: number, port: FrameSink, bytes: Uint8Array): boolean {
  memory.u8.set(bytes, at);
  const frame = new Frame(memory);
  frame.ranges = new RangeList(1);
  frame.ranges.push(at, bytes.length);
  frame.end = 1;
  frame.length = bytes.length;
  const delivered = port.receive(frame);
  port.flush?.();
  return delivered !== DELIVERED.FULL;
}
