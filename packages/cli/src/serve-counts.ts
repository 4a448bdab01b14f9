import type { CountingPort } from '@ringwire/eswitch';
import type { SwitchPortCounters } from '@ringwire/net-backend';
import type { UplinkCounters } from '@ringwire/net-uplink';
import type { PortState } from '@ringwire/vhost-user';
import { NET_DROP, type NetDevice, RX_STAT, TX_STAT } from '@ringwire/virtio-device';
import type { ServedPorts } from './serve-ports.js';

/** A port's counters. Frames and bytes are those of the driver, since it started last. */
export interface PortCounts extends SwitchPortCounters {
  readonly socket: string;
  readonly state: PortState;
  readonly txFrames: number;
  readonly txBytes: number;
  readonly rxFrames: number;
  readonly rxBytes: number;
  /** By name of the `NET_DROP`, those that occurred. */
  readonly drops: Readonly<Record<string, number>>;
}

export interface UplinkCounts extends UplinkCounters {
  readonly uplink: string;
}

export function portCounts({ ports, states, card }: ServedPorts): PortCounts[] {
  return ports.map(({ socket, model, counters }, index) => ({
    socket,
    state: states[index]!,
    ...counters,
    ...(model === undefined ? cardCounts(card!.vfs[index]!) : driverCounts(model)),
  }));
}

type DriverCounts = Pick<PortCounts, 'txFrames' | 'txBytes' | 'rxFrames' | 'rxBytes' | 'drops'>;

function driverCounts(model: NetDevice): DriverCounts {
  return {
    txFrames: total(model, 1, TX_STAT.tx_packets),
    txBytes: total(model, 1, TX_STAT.tx_bytes),
    rxFrames: total(model, 0, RX_STAT.rx_packets),
    rxBytes: total(model, 0, RX_STAT.rx_bytes),
    drops: dropsOf(model),
  };
}

/** What a function on a vendor's card says is the switch's: since it was made, and without drops of its own. */
function cardCounts({ counters }: CountingPort): DriverCounts {
  const { inFrames, inBytes, outFrames, outBytes } = counters;
  return { txFrames: inFrames, txBytes: inBytes, rxFrames: outFrames, rxBytes: outBytes, drops: {} };
}

export function uplinkCounts({ uplinks }: ServedPorts): UplinkCounts[] {
  return uplinks.map(({ name, counters }) => ({ uplink: name, ...counters }));
}

/** Over the queues of one direction. @param first 0 for receive queues, 1 for transmit queues */
function total(model: NetDevice, first: 0 | 1, counter: number): number {
  let sum = 0;
  for (let index: number = first; index < model.queueSizes.length; index += 2)
    sum += model.statistics(index)?.get(counter) ?? 0;
  return sum;
}

function dropsOf({ drops }: NetDevice): Record<string, number> {
  const occurred = Object.entries(NET_DROP).filter(([, code]) => drops[code] !== 0);
  return Object.fromEntries(occurred.map(([name, code]) => [name, drops[code]!]));
}
