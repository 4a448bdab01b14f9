import {
  type ChangeWatcher,
  type CountingPort,
  dropName,
  ESWITCH_AREA_BYTES,
  Eswitch,
  type EswitchDrop,
  type Explanation,
  TransmitArbiter,
  WIRE_AREA_BYTES,
  WirePort,
  type WireSettings,
} from '@ringwire/eswitch';
import type { HostMemory } from '@ringwire/guest-memory';
import type { NetBackend, SwitchPortCounters } from '@ringwire/net-backend';
import { followLink } from '@ringwire/sriov-nic';
import type { NetDevice } from '@ringwire/virtio-device';
import { type NicConfig, portSettings, type VfSettings } from './nic-config.js';
import { defaultMac } from './nic-names.js';

/** Bytes of host memory that a card works in. */
export const NIC_AREA_BYTES: number = ESWITCH_AREA_BYTES + WIRE_AREA_BYTES;
/** Ethernet header and a tag. */
export const HEADER_BYTES = 18;

/** A card with SR-IOV whose functions are served: the switch in it, who may send when, and its wire. */
export class NicCard {
  readonly eswitch: Eswitch;
  readonly wire: WirePort;
  readonly arbiter: TransmitArbiter;
  /** Those that are served, in the order of their sockets: the virtual ones, and the physical one. */
  readonly functions: readonly CountingPort[];

  /**
   * @param at      host offset of {@link NIC_AREA_BYTES}
   * @param now     a clock in µs
   * @param changes told of all that is set, from the beginning
   * @throws VirtioError for what cannot be set
   */
  constructor(memory: HostMemory, at: number, config: NicConfig, now: () => number, changes?: ChangeWatcher) {
    const { mode, floating, learning, pf, vfs, rules, mirrors } = config;
    const { settings, hostRate, cable, isPaced } = config.wire;
    const mac = pf.mac ?? defaultMac(vfs.length);
    const wireAt = at + ESWITCH_AREA_BYTES;
    this.wire = new WirePort({ memory, at: wireAt, now, mac, ...settings, cable, isPaced, hostRate });
    this.arbiter = new TransmitArbiter({ now, wire: this.wire, hostRate });
    const options = { memory, at, virtualFunctions: vfs.length, now, gate: this.arbiter, mode, floating, learning };
    this.eswitch = new Eswitch(options);
    this.eswitch.watchChanges(changes);
    const { physical, virtual } = this.eswitch;
    // Frames to everybody are not for a function that nobody is behind.
    physical.configure({ mac, promiscuous: pf.promiscuous ?? false, broadcast: pf.isServed });
    this.functions = pf.isServed ? [...virtual, physical] : virtual;
    for (const [vf, words] of vfs.entries()) this.setVf(vf, words);
    this.eswitch.setRules(rules);
    this.eswitch.setMirrors(mirrors);
    this.wire.serve(this.eswitch);
  }

  get vfs(): readonly CountingPort[] {
    return this.eswitch.virtual;
  }

  /** Plug a cable in, at its near end. */
  connectWire(cable: NetBackend): void {
    this.wire.plug(cable);
  }

  /** A device is a function's: it is told of its link. The groups that a guest is in stay with its front-end, so all pass. */
  serve(index: number, model: NetDevice, mac: Uint8Array, mtu: number): void {
    followLink(model, this.admit(index, mac, mtu));
  }

  /** A function has an address, and frames of a size. @returns its port */
  admit(index: number, mac: Uint8Array, mtu: number): CountingPort {
    const port = this.functions[index]!;
    port.configure({ mac, allMulticast: true, longestFrame: mtu + HEADER_BYTES });
    return port;
  }

  /** @throws VirtioError for what cannot be set: everything is as before then */
  setVf(vf: number, settings: VfSettings): void {
    this.vfs[vf]!.configure(portSettings(settings));
  }

  /** As the physical function's driver does. @throws VirtioError for what cannot be set: everything is as before then */
  setWire(settings: Partial<WireSettings>): void {
    this.eswitch.physical.wire!.configure(settings);
  }

  /** What would become of a frame that comes in at a port. */
  why(port: number, frame: Uint8Array): Explanation {
    return this.eswitch.explain(port, frame);
  }
}

/** What came in at a port of a card, in the words of a switch, live. */
export function switchCounters({ counters }: CountingPort): SwitchPortCounters {
  return {
    get forwarded() {
      return counters.inFrames - counters.copies;
    },
    get flooded() {
      return counters.copies;
    },
    filtered: 0,
    get lost() {
      return counters.drops.reduce((sum, frames) => sum + frames, 0);
    },
  };
}

/** Drops of a port by reason, those that occurred. */
export function portDrops({ counters }: CountingPort): Partial<Record<EswitchDrop, number>> {
  const occurred = Array.from(counters.drops, (frames, reason) => [dropName(reason), frames] as const);
  return Object.fromEntries(occurred.filter(([, frames]) => frames > 0));
}
