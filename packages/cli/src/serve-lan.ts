import type { ChangeWatcher } from '@ringwire/eswitch';
import type { HostMemory } from '@ringwire/guest-memory';
import { LearningSwitch, type NetBackend, type SwitchPortCounters } from '@ringwire/net-backend';
import { NIC_AREA_BYTES, NicCard, switchCounters } from './nic-card.js';
import type { ServeConfig } from './serve-config.js';

/** What joins the devices and the uplinks that are served. */
export interface ServeLan {
  /** Of the devices, in their order. */
  readonly ports: readonly { readonly backend: NetBackend; readonly counters: SwitchPortCounters }[];
  /** Of the uplinks, in their order. */
  readonly uplinks: readonly NetBackend[];
  /** The card that the devices are functions of, if they are. */
  readonly card: NicCard | undefined;
}

/** The clock of devices and their server, in µs. */
export const now = (): number => performance.now() * 1000;

/** Bytes of host memory that it works in. */
export const lanBytes = ({ nic }: ServeConfig): number => (nic === undefined ? 0 : NIC_AREA_BYTES);

/**
 * A learning switch; or, for functions of a card, the card's own, and a learning switch between its wire and the uplinks.
 * @param at      host offset of {@link lanBytes}
 * @param changes told of all that is set for a card
 */
export function openLan(config: ServeConfig, memory: HostMemory, at: number, changes?: ChangeWatcher): ServeLan {
  const { nic, ports, uplinks } = config;
  if (nic === undefined) {
    const lan = new LearningSwitch(ports.length + uplinks.length);
    const all = lan.ports.map((port) => ({ backend: port, counters: port.counters }));
    return { ports: all.slice(0, ports.length), uplinks: lan.ports.slice(ports.length), card: undefined };
  }
  const card = new NicCard(memory, at, nic, now, changes);
  const lan = uplinks.length === 0 ? undefined : new LearningSwitch(uplinks.length + 1);
  if (lan !== undefined) card.connectWire(lan.ports[uplinks.length]!);
  return {
    ports: card.functions.map((port) => ({ backend: port.backend, counters: switchCounters(port) })),
    uplinks: lan?.ports.slice(0, uplinks.length) ?? [],
    card,
  };
}
