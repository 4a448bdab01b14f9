import {
  type CountingPort,
  dropName,
  ESWITCH_AREA_BYTES,
  Eswitch,
  type EswitchDrop,
  type Explanation,
  TransmitArbiter,
} from '@ringwire/eswitch';
import type { HostMemory } from '@ringwire/guest-memory';
import type { NetBackend, SwitchPortCounters } from '@ringwire/net-backend';
import type { NetDevice } from '@ringwire/virtio-device';
import { type NicConfig, portSettings, type VfSettings } from './nic-config.js';

/** Bytes of host memory that a card works in. */
export const NIC_AREA_BYTES: number = ESWITCH_AREA_BYTES;
/** Ethernet header and a tag. */
const HEADER_BYTES = 18;

/** A card with SR-IOV whose virtual functions are served: the switch in it, and who may send when. */
export class NicCard {
  readonly eswitch: Eswitch;

  /**
   * @param at  host offset of {@link NIC_AREA_BYTES}
   * @param now a clock in µs
   * @throws VirtioError for what cannot be set
   */
  constructor(
    memory: HostMemory,
    at: number,
    { rate, mode, floating, learning, vfs, rules, mirrors }: NicConfig,
    now: () => number,
  ) {
    const gate = new TransmitArbiter({ now, lineRate: rate });
    const options = { memory, at, virtualFunctions: vfs.length, now, gate, mode, floating, learning };
    this.eswitch = new Eswitch(options);
    for (const [vf, settings] of vfs.entries()) this.setVf(vf, settings);
    this.eswitch.setRules(rules);
    this.eswitch.setMirrors(mirrors);
  }

  get vfs(): readonly CountingPort[] {
    return this.eswitch.virtual;
  }

  /** Plug a cable in, at its near end. */
  connectWire(cable: NetBackend): void {
    const { backend } = this.eswitch.wire;
    backend.attach(cable);
    cable.attach(backend);
  }

  /** A device is a function's: it is told of its link. The groups that a guest is in stay with its front-end, so all pass. */
  serve(vf: number, model: NetDevice, mac: Uint8Array, mtu: number): void {
    const port = this.admit(vf, mac, mtu);
    model.setLink(port.isUp);
    port.onLink = (isUp) => model.setLink(isUp);
  }

  /** A function has an address, and frames of a size. @returns its port */
  admit(vf: number, mac: Uint8Array, mtu: number): CountingPort {
    const port = this.vfs[vf]!;
    port.configure({ mac, allMulticast: true, longestFrame: mtu + HEADER_BYTES });
    return port;
  }

  /** @throws VirtioError for what cannot be set: everything is as before then */
  setVf(vf: number, settings: VfSettings): void {
    this.vfs[vf]!.configure(portSettings(settings));
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
