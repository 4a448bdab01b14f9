import { COUNT_BYTES, MAC_BYTES, type MacList, type RxFilter, VLAN_IDS } from './rx-filter.js';

/** What a driver asks for by its commands; what is left out stays as it is. */
export interface NetWishes {
  /** 6 bytes. */
  readonly mac?: Uint8Array;
  /** Further addresses, and groups, whose frames it wants; 6 bytes each, as the driver wrote them. */
  readonly unicast?: readonly Uint8Array[];
  readonly multicast?: readonly Uint8Array[];
  readonly promiscuous?: boolean;
  readonly allMulticast?: boolean;
  readonly broadcast?: boolean;
  /** VLANs, 1 to 4094, whose frames it wants; 'all' without a filter of its own. */
  readonly vlans?: 'all' | ReadonlySet<number>;
}

/** Somebody who decides what a driver may have, such as the switch of a card. */
export interface NetPolicy {
  /** @returns false: the command is answered VIRTIO_NET_ERR, and everything is as before, here and there */
  request(wishes: NetWishes): boolean;
  /** The device does not run any more: what its driver asked for goes. */
  forget(): void;
}

/** What the modes of a filter, lists that have too many addresses included, come to. virtio 1.4 §5.1.9.5.1, .2 */
export function modeWishes(filter: RxFilter): NetWishes {
  return {
    promiscuous: filter.promisc || filter.alluni || filter.unicast.overflow,
    allMulticast: filter.allmulti || filter.multicast.overflow,
    broadcast: !filter.nobcast,
  };
}

/** What the table of addresses comes to. */
export function tableWishes(filter: RxFilter): NetWishes {
  return { ...modeWishes(filter), unicast: addressesOf(filter.unicast), multicast: addressesOf(filter.multicast) };
}

/** What the VLANs of a filter come to. Frames with a priority alone, and those of no VLAN, are in none. */
export function vlanWishes(vlans: Uint32Array): NetWishes {
  const ids = new Set<number>();
  for (let id = 1; id < VLAN_IDS - 1; id++) if (((vlans[id >>> 5]! >>> (id & 31)) & 1) === 1) ids.add(id);
  return { vlans: ids };
}

function addressesOf(list: MacList): Uint8Array[] {
  if (list.overflow) return [];
  const bytes = list.bytes().subarray(COUNT_BYTES);
  return Array.from({ length: list.count }, (_, index) => bytes.slice(MAC_BYTES * index, MAC_BYTES * (index + 1)));
}
