import { openPciTransport } from '@ringwire/guest-drivers';
import { NetDevice, type NetDeviceOptions, VirtioPci } from '@ringwire/virtio-device';
import type { Machine, Rings } from '../architecture.js';
import { CountedAccess, newLedger } from '../ledger.js';
import { Lab } from './lab.js';
import { hostNetwork } from './network.js';
import { opened } from './opened.js';
import { type DriverKind, virtioGuest } from './virtio-guest.js';

const BUDGET = 64;
/** The host looks by itself, and never asks to be told. */
export const POLLED: Partial<NetDeviceOptions> = { pollTurns: 0x7fff_ffff };

/** Two guests in front of virtio functions that are software of the host, registers and rings. */
export function hostMachine(rings: Rings, kind: DriverKind, isCounted: boolean): Machine {
  const lab = new Lab(isCounted);
  const ledger = newLedger();
  const network = hostNetwork(lab, ledger);
  const functions: VirtioPci[] = [];
  const [from, to] = [0, 1].map((guest) =>
    virtioGuest(lab, guest, rings, kind, ledger, (interrupt) => {
      const model = new NetDevice({
        holdWhenFull: true,
        ...(kind === 'poll' ? POLLED : {}),
        memory: lab.memory,
        scratch: lab.scratch(),
        backend: network.port(guest),
        mac: Lab.mac(guest),
      });
      const sendMessage = (_low: number, _high: number, vector: number): void => {
        ledger.injections++;
        interrupt(vector);
      };
      const host = { sendMessage, setIntx: () => {} };
      const virtio = new VirtioPci({ model, space: lab.space(guest, ledger), host, translated: true });
      functions.push(virtio);
      return opened(openPciTransport(new CountedAccess(virtio.pci, ledger, true)));
    }),
  );
  const host = (): boolean => functions.reduce((done, { device }) => device.step(BUDGET) > 0 || done, false);
  return { from: from!, to: to!, ledger, pinnedBytes: 0, host, card: () => false };
}
