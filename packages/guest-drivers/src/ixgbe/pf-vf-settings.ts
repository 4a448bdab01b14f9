import { VirtioError } from '@ringwire/virtio-spec';
import { needStation, sameMac, showMac } from './mac-address.js';
import type { PfCard } from './pf-card.js';
import type { VfSettings, VfState } from './pf-vf-state.js';

/** What may be said of a virtual function at once. */
export type VfChanges = Partial<VfSettings> & {
  /** The card has no such thing: 0 alone. */
  readonly minTxRate?: number;
};

const HERE = 'IxgbePf.setVf';
/** Mbit/s: the card's limits are coarser below. */
const LEAST_RATE = 11;

/**
 * Change what a virtual function may have, in the card too.
 * @param link Mbit/s of the link; -1 while it is down
 * @returns whether the function's driver has to begin anew to notice
 * @throws VirtioError for what cannot be, naming the setting: nothing is changed then
 */
export function changeVf(card: PfCard, state: VfState, changes: VfChanges, link: number): boolean {
  checkVfChanges(card, state, changes, link);
  const { minTxRate: _, ...settings } = changes;
  const before = state.settings;
  const after = { ...before, ...settings };
  state.settings = after;
  if ('mac' in changes) changeMac(card, state);
  if (before.trust && !after.trust) card.revokeTrust(state);
  if (before.vlan !== after.vlan || before.qos !== after.qos) card.applyVlan(state);
  card.applyAccept(state);
  card.applyEnable(state);
  card.applyRate(state, link);
  card.pools.setSpoofCheck(state.vf, after.spoofchk);
  return needsRestart(before, after);
}

function changeMac(card: PfCard, state: VfState): void {
  const { mac } = state.settings;
  if (mac !== undefined) card.giveMac(state, mac);
  else if (state.mac !== undefined) {
    card.macs.remove(state.mac, state.vf);
    state.mac = undefined;
  }
}

function checkVfChanges(card: PfCard, state: VfState, changes: VfChanges, link: number): void {
  const { mac, vlan = 0, qos = 0, maxTxRate = 0, minTxRate = 0, linkState = 'auto' } = changes;
  if (mac !== undefined) {
    needStation(mac);
    if (card.isTaken(mac, state.vf))
      throw new VirtioError('mac', showMac(mac), 'an address that no other function of the card has', HERE);
  }
  if (!Number.isInteger(vlan) || vlan < 0 || vlan > 4094)
    throw new VirtioError('vlan', vlan, 'an integer from 0 to 4094', 'IEEE 802.1Q §9.6');
  if (!card.vlans.hasRoom(vlan))
    throw new VirtioError('vlan', vlan, "one of those in the card's table, which is full", HERE);
  if (!Number.isInteger(qos) || qos < 0 || qos > 7)
    throw new VirtioError('qos', qos, 'an integer from 0 to 7', 'IEEE 802.1Q §9.6');
  if (minTxRate !== 0)
    throw new VirtioError(
      'minTxRate',
      minTxRate,
      '0: the 82599 limits rates, and guarantees none',
      '82599 datasheet §7.7.2.2',
    );
  if (maxTxRate !== 0) checkRate(maxTxRate, link);
  // VFLINKS shows the wire's link: it cannot be made to say that one is up that is not.
  if (linkState !== 'auto' && linkState !== 'disable')
    throw new VirtioError('linkState', String(linkState), 'auto or disable', '82599 datasheet §8.3, VFLINKS');
}

function checkRate(rate: number, link: number): void {
  if (link < 0)
    throw new VirtioError('maxTxRate', rate, '0 while the link is down: a limit is a part of its speed', HERE);
  if (!Number.isInteger(rate) || rate < LEAST_RATE || rate > link)
    throw new VirtioError('maxTxRate', rate, `0, or an integer from ${LEAST_RATE} to the link's ${link}`, HERE);
}

function needsRestart(before: VfSettings, after: VfSettings): boolean {
  const sameAddress =
    before.mac === after.mac || (before.mac !== undefined && after.mac !== undefined && sameMac(before.mac, after.mac));
  const hadTrust = before.trust && !after.trust;
  return (
    !sameAddress ||
    hadTrust ||
    before.vlan !== after.vlan ||
    before.qos !== after.qos ||
    before.linkState !== after.linkState
  );
}
