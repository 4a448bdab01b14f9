import { isBreakdown, openPciTransport } from '@ringwire/guest-drivers';
import type { NetBackend } from '@ringwire/net-backend';
import {
  isVdpaRefusal,
  joinParts,
  ShadowVdpa,
  simParent,
  splitParts,
  TableSpace,
  type VdpaDevice,
  type VdpaHost,
  type VdpaParent,
  VpParent,
} from '@ringwire/vdpa';
import type { MovingWire } from '@ringwire/vdpa/testing';
import { ixgbeParent, vendorBParent } from '@ringwire/vdpa-vendors';
import { MemberDevice, NET_SCRATCH_BYTES, NetDevice, VirtioPci } from '@ringwire/virtio-device';
import type { Layout } from '../case-plan.js';

/** Devices of a guest: functions of either vendor's card have a queue pair each. */
export const DEVICES = 8;
const NET = { holdWhenFull: true } as const;
const NOWHERE: NetBackend = { offloads: 0, attach: () => {}, receive: () => 2, pump: () => 0 };

/** Somewhere that a guest with {@link DEVICES} devices can be. */
export interface MovingPlace {
  /** Which ports of the wires its devices have. */
  readonly port: number;
  /** All its devices, as after a reset. */
  add(): VdpaDevice[];
  remove(devices: readonly VdpaDevice[]): void;
}

/** Places by name; each is made once. @param wires one for each device */
export function movingPlaces(
  host: VdpaHost,
  wires: readonly MovingWire[],
  layout: Layout,
): Readonly<Record<'A' | 'B' | 'sim' | 'vp' | 'shadow', MovingPlace>> {
  const end = (port: number) => (place: number) => (place < 0 ? NOWHERE : wires[place]!.port(port));
  const card = { functions: DEVICES, net: NET };
  const sims = (port: number) => simParent(host, { devices: DEVICES, backend: end(port), device: NET });
  const behind = sims(4);
  // Whatever rings the driver has not.
  const rings = layout === 'split' ? 'packed' : 'split';
  const shadowed = new Map<VdpaDevice, VdpaDevice>();
  const vps = wires.map((wire, index) => vpParent(host, wire.port(3), index));
  return {
    A: ofParent(0, ixgbeParent(host, { ...card, name: 'pci/0000:01:00.0', backend: end(0) })),
    B: ofParent(1, vendorBParent(host, { ...card, name: 'pci/0000:02:00.0', backend: end(1) })),
    sim: ofParent(2, sims(2)),
    vp: {
      port: 3,
      add: () => vps.map((parent) => added(parent, 'vp')),
      remove: (devices) => {
        for (const [index, device] of devices.entries()) vps[index]!.remove(device);
      },
    },
    shadow: {
      port: 4,
      add: () =>
        wires.map((_, index) => {
          const device = added(behind, `shadow${index}`);
          const shadow = new ShadowVdpa({ device, pages: host.pages, rings });
          shadowed.set(shadow, device);
          return shadow;
        }),
      remove: (devices) => {
        for (const device of devices) {
          behind.remove(shadowed.get(device)!);
          shadowed.delete(device);
        }
      },
    },
  };
}

function ofParent(port: number, parent: VdpaParent): MovingPlace {
  return {
    port,
    add: () => Array.from({ length: DEVICES }, (_, index) => added(parent, `moving${index}`)),
    remove: (devices) => {
      for (const device of devices) parent.remove(device);
    },
  };
}

function added(parent: VdpaParent, name: string): VdpaDevice {
  const device = parent.add(name, {});
  if (isVdpaRefusal(device)) throw new Error(`a device cannot be added: ${device.message}`);
  return device;
}

/** A standard virtio-pci function with an owner who has its device parts, behind vp_vdpa. */
function vpParent(host: VdpaHost, backend: NetBackend, index: number): VpParent {
  const space = new TableSpace(host.memory);
  const model = new NetDevice({
    memory: host.memory,
    scratch: host.pages.allocate(NET_SCRATCH_BYTES),
    backend,
    mac: Uint8Array.of(2, 0, 0, 0, 0xc0, index + 1),
    ...NET,
  });
  const raised: number[] = [];
  const virtio = new VirtioPci({
    model,
    space,
    translated: true,
    host: { sendMessage: (_low, _high, data) => void raised.push(data), setIntx: () => {} },
  });
  const registers = openPciTransport(virtio.pci);
  if (isBreakdown(registers)) throw new Error(registers.message);
  const member = new MemberDevice(virtio);
  const parent = new VpParent(`pci/0000:03:00.${index}`, {
    registers,
    mappings: space,
    messages: Array.from({ length: 4 }, (_, data) => ({ addressLo: 0xfee0_0000, addressHi: 0, data })),
    step: (budget) => {
      let done = virtio.device.step(budget);
      for (const vector of raised.splice(0)) {
        parent.interrupt(vector);
        done++;
      }
      return done;
    },
    member: {
      stop: () => {
        // Notifications on their way leave with a step.
        for (let tries = 0; tries < 3 && !member.stop(); tries++) virtio.device.step(0);
        return member.isStopped;
      },
      resume: () => {
        member.resume();
        return true;
      },
      parts: () => joinParts(member.parts()),
      setParts: (bytes) => {
        const parts = splitParts(bytes);
        return parts !== undefined && member.setParts(parts) === undefined;
      },
    },
  });
  return parent;
}
