import type { Delivered, Frame, FrameSink, NetBackend } from '@ringwire/net-backend';
import { DELIVERED } from '@ringwire/net-backend';
import type { Ledger } from '../ledger.js';

/** A port of a switch in the host's software: what it hands on, a processor of the host copied. */
export function copiedPort(port: NetBackend, ledger: Ledger): NetBackend {
  return {
    offloads: port.offloads,
    receive: (frame: Frame): Delivered => {
      const delivered = port.receive(frame);
      if (delivered === DELIVERED.ACCEPTED) {
        ledger.copies++;
        ledger.copiedBytes += frame.length;
      }
      return delivered;
    },
    flush: () => port.flush?.(),
    attach: (device: FrameSink | undefined) => port.attach(device),
    pump: (budget: number) => port.pump(budget),
  };
}
