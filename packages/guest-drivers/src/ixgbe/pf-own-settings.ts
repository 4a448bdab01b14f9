import { VirtioError } from '@ringwire/virtio-spec';
import { groupHash, needStation } from './mac-address.js';
import type { PfCard } from './pf-card.js';
import type { PfKeeps } from './pf-session.js';
import type { AcceptMode } from './vf-wishes.js';

// What the physical function itself gets. What is kept holds for the next life of the card, too.

export function setOwnMode(card: PfCard, mode: AcceptMode): void {
  card.own.mode = mode;
  card.applyAccept(card.own);
}

export function setOwnGroups(card: PfCard, groups: readonly Uint8Array[]): void {
  const hashes = groups.map((group) => groupHash(group, 0));
  card.setGroups(card.own, hashes);
}

/** @throws VirtioError for an address that another function has, or that is no station's */
export function setOwnMac(card: PfCard, keeps: PfKeeps, mac: Uint8Array): void {
  needStation(mac);
  if (card.isTaken(mac, card.own.vf) || !card.giveMac(card.own, mac))
    throw new VirtioError('mac', mac.join(':'), 'an address that no other function of the card has', 'IxgbePf.setMac');
  keeps.mac = mac.slice();
}

/** @returns false when the card's table is full @throws VirtioError for what is no VLAN */
export function setOwnVlan(card: PfCard, keeps: PfKeeps, vlan: number, isMember: boolean): boolean {
  if (!Number.isInteger(vlan) || vlan < 0 || vlan > 4094)
    throw new VirtioError('vlan', vlan, 'an integer from 0 to 4094', 'IEEE 802.1Q §9.6');
  if (isMember && !card.vlans.join(vlan, card.own.vf)) return false;
  if (isMember) keeps.vlans.add(vlan);
  else keeps.vlans.delete(vlan);
  // Frames without a tag are everybody's.
  if (!isMember && vlan !== 0) card.vlans.leave(vlan, card.own.vf);
  return true;
}
