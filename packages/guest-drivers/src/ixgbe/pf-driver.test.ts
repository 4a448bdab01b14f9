import { expect, test } from 'vitest';
import { BREAK, isBreakdown } from '../breakdown.js';
import { openIxgbePf } from './pf-driver.js';
import { describeMail } from './pf-log.js';
import { AT, pfStage, ScriptedPf } from './testing/scripted-pf.js';
import { MESSAGES } from './testing/vf-stage.js';

const ACK = 0xa000_0000;
const NACK = 0x6000_0000;
const MAC: Uint8Array = Uint8Array.of(0x52, 0x54, 0, 0, 0, 1);
/** The same in the two words of a message. */
const MAC_WORDS = [0x0000_5452, 0x0100] as const;
/** 52:54:00:00:00:02. */
const OTHER_WORDS = [0x0000_5452, 0x0200] as const;

test('F38: a virtual function, or another card, is refused with the reason', () => {
  const card = new ScriptedPf(0x10ed);
  const setup = { access: card, dma: card.dma, messages: MESSAGES, now: () => 0, vfs: 1, events: { frame: () => {} } };
  expect(openIxgbePf(setup)).toEqual({
    code: BREAK.NO_DEVICE,
    message: "PCI id 8086:10ed is no 82599 physical function, want 8086:10fb: registers and rings are its vendor's own",
  });
  expect(card.writes).toEqual([]);
});

test('82599 §4.6.11: the card is shared out for its virtual functions; the own pool is the one behind them', () => {
  const { card, driver } = pfStage({ vfs: 7 });
  // GCR_EXT: 32 pools, MSI-X. MTQC: VT, 32 pools. MRQC: VMDq and RSS with 32 pools. PFVTCTL: pool 7 by default.
  expect(card.get(0x1_1050)).toBe(0x8000_0002);
  expect(card.get(0x8120)).toBe(0xa);
  expect(card.get(0x5818) & 0xf).toBe(0xa);
  expect(card.get(0x51b0)).toBe(0x4000_0001 | (7 << 7));
  // The own queues are pool 7's first: 28 of 128. Rings of 64 descriptors, enabled.
  expect([card.get(0x1000 + 28 * 0x40 + 8), card.get(0x1000 + 28 * 0x40 + 0x28)]).toEqual([1024, 0x4200_0000]);
  expect([card.get(0x6000 + 28 * 0x40 + 8), card.get(0x6000 + 28 * 0x40 + 0x28)]).toEqual([1024, 0x0200_0000]);
  // Only the own pool sends and receives, to the address of the EEPROM.
  expect([card.get(AT.vfre), card.get(AT.vfte)]).toEqual([1 << 7, 1 << 7]);
  expect([card.get(AT.ral), card.get(AT.ral + 4), card.get(AT.mpsar)]).toEqual([0x5452, 0x8000_ff00, 1 << 7]);
  // Virtual functions' addresses are checked: PFVFSPOOF of pools 0 to 6. CTRL_EXT.PFRSTD: they may begin.
  expect(card.get(AT.spoof)).toBe(0x7f7f);
  expect(card.get(AT.ctrlExt) & 0x4000).toBe(0x4000);
  expect([driver.speed, driver.queuesPerVf]).toEqual([10_000, 4]);
});

test('82599 §7.1.2.2: more than 31 virtual functions have two queues each', () => {
  const { card, driver } = pfStage({ vfs: 63 });
  expect([card.get(0x1_1050), card.get(0x8120), card.get(0x5818) & 0xf]).toEqual([0x8000_0003, 0x6, 0xb]);
  expect(card.get(0xd000 + 62 * 0x40 + 0x28)).toBe(0x4200_0000);
  expect(driver.queuesPerVf).toBe(2);
  expect(() => pfStage({ vfs: 64 })).toThrow('vfs is 64, want an integer from 0 to 63');
});

test('F42: a function that has not reset is told to; the reset opens its pool', () => {
  const { card, ask } = pfStage();
  expect(ask(1, 0x02, ...MAC_WORDS)[0]).toBe(0x4000_0002);
  expect(card.poolBit(AT.vfte, 1)).toBe(false);
  // Without an address of the host's the answer is NACK; word 3 is the type of multicast hashes.
  expect(ask(1, 0x01).slice(0, 4)).toEqual([0x4000_0001, 0, 0, 0]);
  expect([card.poolBit(AT.vfte, 1), card.poolBit(AT.vfre, 1), card.poolBit(AT.vfte, 2)]).toEqual([true, true, false]);
  expect(ask(1, 0x02, ...MAC_WORDS)[0]).toBe((ACK | 0x02) >>> 0);
  // RAL 1, RAH 1, MPSAR 1.
  expect([card.get(AT.ral + 8), card.get(AT.ral + 12), card.get(AT.mpsar + 8)]).toEqual([0x5452, 0x8000_0100, 2]);
});

test('F42: an address that the host set is given at the reset, and not to be changed without trust', () => {
  const { driver, ask } = pfStage();
  driver.setVf(0, { mac: MAC });
  expect(ask(0, 0x01).slice(0, 4)).toEqual([0x8000_0001, ...MAC_WORDS, 0]);
  expect(ask(0, 0x02, ...MAC_WORDS)[0]).toBe((ACK | 0x02) >>> 0);
  expect(ask(0, 0x02, ...OTHER_WORDS)[0]).toBe((NACK | 0x02) >>> 0);
  expect(ask(0, 0x1_0006, ...OTHER_WORDS)[0]).toBe((NACK | 0x1_0006) >>> 0);
  driver.setVf(0, { trust: true });
  expect(ask(0, 0x02, ...OTHER_WORDS)[0]).toBe((ACK | 0x02) >>> 0);
  expect(driver.vfInfo(0).activeMac).toEqual(Uint8Array.of(0x52, 0x54, 0, 0, 0, 2));
});

test("SR-19: an address of the physical function's or a sibling's is refused, as the own and as a further one", () => {
  const { driver, ask } = pfStage();
  for (const vf of [0, 1]) ask(vf, 0x01);
  ask(0, 0x02, ...MAC_WORDS);
  for (const words of [MAC_WORDS, [0x5452, 0xff00], [0, 0], [0x5453, 0x0100]] as const) {
    expect(ask(1, 0x02, ...words)[0]).toBe((NACK | 0x02) >>> 0);
    expect(ask(1, 0x1_0006, ...words)[0]).toBe((NACK | 0x1_0006) >>> 0);
  }
  expect(driver.vfInfo(1).activeMac).toBeUndefined();
  expect(() => driver.setVf(1, { mac: MAC })).toThrow(
    'mac is 52:54:00:00:00:01, want an address that no other function',
  );
});

test('versions 1.0 to 1.5 are spoken, and no others; what is newer than the agreed one is refused', () => {
  const { ask } = pfStage();
  ask(0, 0x01);
  expect(ask(0, 0x09)[0]).toBe((NACK | 0x09) >>> 0);
  for (const version of [0, 2, 3, 4, 5, 6]) expect(ask(0, 0x08, version)[0]).toBe((ACK | 0x08) >>> 0);
  for (const version of [1, 7, 0xffff_ffff]) expect(ask(0, 0x08, version)[0]).toBe((NACK | 0x08) >>> 0);
  ask(0, 0x08, 2);
  // 1.1: GET_QUEUES, four of each kind, no tag to hide; not yet UPDATE_XCAST_MODE.
  expect(ask(0, 0x09).slice(0, 5)).toEqual([(ACK | 0x09) >>> 0, 4, 4, 0, 0]);
  expect(ask(0, 0x0c, 1)[0]).toBe((NACK | 0x0c) >>> 0);
  ask(0, 0x08, 3);
  expect(ask(0, 0x0c, 1)[0]).toBe((ACK | 0x0c) >>> 0);
  expect(ask(0, 0x0c, 3)[0]).toBe((NACK | 0x0c) >>> 0);
});

test('SR-18: a function that is not trusted gets groups of its own instead of all; a trusted one gets everything', () => {
  const { card, driver, ask } = pfStage();
  ask(2, 0x01);
  ask(2, 0x08, 6);
  expect(ask(2, 0x0c, 3).slice(0, 2)).toEqual([(ACK | 0x0c) >>> 0, 1]);
  // BAM, ROMPE, AUPE.
  expect(card.get(AT.vml2flt + 8)).toBe(0x0b00_0000);
  driver.setVf(2, { trust: true });
  expect(ask(2, 0x0c, 3).slice(0, 2)).toEqual([(ACK | 0x0c) >>> 0, 3]);
  // MPE, and ROPE with a table where every hash is set.
  expect(card.get(AT.vml2flt + 8)).toBe(0x1f00_0000);
  expect([card.get(AT.uta), card.get(AT.uta + 127 * 4)]).toEqual([0xffff_ffff, 0xffff_ffff]);
  ask(2, 0x01);
  expect([card.get(AT.vml2flt + 8), card.get(AT.uta)]).toEqual([0x0900_0000, 0]);
});

test('82599 §8.2.3.27: VLANs of a function are entries with its bit; the last one that leaves takes the entry along', () => {
  const { card, ask } = pfStage();
  for (const vf of [0, 1]) ask(vf, 0x01);
  expect(ask(0, 0x1_0004, 100)[0]).toBe((ACK | 0x1_0004) >>> 0);
  expect(ask(1, 0x1_0004, 100)[0]).toBe((ACK | 0x1_0004) >>> 0);
  // Entry 0 is VLAN 0, everybody's; entry 1 is VLAN 100.
  expect([card.get(AT.vlvf + 4), card.get(AT.vlvfb + 8)]).toEqual([0x8000_0064, 3]);
  expect(card.get(0xa000 + 4 * 3)).toBe(1 << 4);
  ask(0, 0x04, 100);
  expect(card.get(AT.vlvfb + 8)).toBe(2);
  ask(1, 0x04, 100);
  expect([card.get(AT.vlvf + 4), card.get(0xa000 + 4 * 3)]).toEqual([0, 0]);
});

test("a port VLAN is put into every frame, hidden from the driver, and not the driver's to change", () => {
  const { card, driver, ask } = pfStage();
  ask(0, 0x01);
  ask(0, 0x08, 6);
  ask(0, 0x1_0004, 7);
  driver.setVf(0, { vlan: 100, qos: 5 });
  // The function is told to begin anew: without CTS.
  expect(card.heard(0)?.[0]).toBe(0x0100);
  expect(ask(0, 0x1_0004, 8)[0]).toBe((0x4000_0000 | 0x1_0004) >>> 0);
  ask(0, 0x01);
  ask(0, 0x08, 6);
  // VLANA by default, priority 5, VLAN 100; no frames without tag: BAM alone.
  expect(card.get(AT.vmvir)).toBe(0x4000_a064);
  expect(card.get(AT.vml2flt)).toBe(0x0800_0000);
  expect(ask(0, 0x09).slice(1, 5)).toEqual([4, 4, 1, 0]);
  expect(ask(0, 0x1_0004, 8)[0]).toBe((NACK | 0x1_0004) >>> 0);
  driver.setVf(0, { vlan: 0, qos: 0 });
  expect(card.get(AT.vmvir)).toBe(0);
});

test('lengths: a card without long frames grants none; drivers of 1.0 receive nothing while there are some', () => {
  const plain = pfStage();
  plain.ask(0, 0x01);
  plain.ask(0, 0x08, 6);
  expect(plain.ask(0, 0x05, 1518)[0]).toBe((ACK | 0x05) >>> 0);
  expect(plain.ask(0, 0x05, 1519)[0]).toBe((NACK | 0x05) >>> 0);
  const jumbo = pfStage({ mtu: 9000 });
  // MAXFRS 9018, JUMBOEN.
  expect([jumbo.card.get(0x4268), jumbo.card.get(0x4240) & 4]).toEqual([9018 << 16, 4]);
  jumbo.ask(0, 0x01);
  expect(jumbo.ask(0, 0x05, 1518)[0]).toBe((NACK | 0x05) >>> 0);
  expect(jumbo.card.poolBit(AT.vfre, 0)).toBe(false);
  jumbo.ask(0, 0x08, 6);
  expect(jumbo.ask(0, 0x05, 9018)[0]).toBe((ACK | 0x05) >>> 0);
  expect(jumbo.card.poolBit(AT.vfre, 0)).toBe(true);
});

test("F45: a rate is a factor of the link's speed in every queue of the function; a guarantee is refused", () => {
  const { card, driver } = pfStage();
  driver.setVf(1, { maxTxRate: 1000 });
  // 10000 / 1000 = 10, with 14 bits behind the point; RS_ENA. Queues 4 to 7.
  expect([4, 5, 6, 7].map((queue) => card.rates.get(queue))).toEqual(
    new Array(4).fill((0x8000_0000 | (10 << 14)) >>> 0),
  );
  expect(card.rates.get(8)).toBe(0);
  driver.setVf(1, { maxTxRate: 3000 });
  expect(card.rates.get(4)).toBe((0x8000_0000 | Math.floor((10_000 * 16384) / 3000)) >>> 0);
  for (const rate of [1, 10, 10_001, 2 ** 64, 0.5, Number.NaN, -1])
    expect(() => driver.setVf(1, { maxTxRate: rate })).toThrow('maxTxRate');
  expect(() => driver.setVf(1, { minTxRate: 100 })).toThrow('the 82599 limits rates, and guarantees none');
  driver.setVf(1, { maxTxRate: 0 });
  expect(card.rates.get(4)).toBe(0);
});

test('what cannot be set is named, and nothing is changed', () => {
  const { driver } = pfStage();
  const before = driver.vfInfo(0);
  for (const [changes, field] of [
    [{ trust: true, vlan: 4095 }, 'vlan'],
    [{ trust: true, vlan: -1 }, 'vlan'],
    [{ trust: true, qos: 8 }, 'qos'],
    [{ trust: true, mac: new Uint8Array(6) }, 'mac'],
    [{ trust: true, mac: new Uint8Array(5) }, 'mac'],
    [{ trust: true, linkState: 'enable' as 'auto' }, 'linkState'],
  ] as const)
    expect(() => driver.setVf(0, changes)).toThrow(field);
  expect(() => driver.setVf(4, {})).toThrow('vf is 4');
  expect(driver.vfInfo(0)).toEqual(before);
});

test('F44: speed and duplex are set by the physical function; there is no half duplex', () => {
  const { card, driver, told, ask } = pfStage();
  ask(0, 0x01);
  driver.setLink(1000);
  // LMS 0, restart.
  expect(card.get(AT.autoc) & 0xf000).toBe(0x1000);
  expect(() => driver.setLink(1000, 'half')).toThrow('duplex is half, want full');
  expect(() => driver.setLink(100 as 1000)).toThrow('speed');
  card.set(AT.links, 0);
  driver.watch();
  card.set(AT.links, 0x6000_0080);
  driver.watch();
  expect(told).toEqual(['up', 'down', 'up']);
  expect(driver.speed).toBe(1000);
  // Functions that may send are told with CTS, so that they look at their link.
  expect(card.heard(0)?.[0]).toBe(0x2000_0100);
});

test('link state: a function that is disabled neither sends nor receives, and is told', () => {
  const { card, driver, ask } = pfStage();
  ask(0, 0x01);
  driver.setVf(0, { linkState: 'disable' });
  expect(card.heard(0)?.[0]).toBe(0x0100);
  ask(0, 0x01);
  ask(0, 0x08, 6);
  expect(ask(0, 0x10).slice(0, 2)).toEqual([(ACK | 0x10) >>> 0, 0]);
  expect([card.poolBit(AT.vfte, 0), card.poolBit(AT.vfre, 0)]).toEqual([false, false]);
});

test('hashes: only a function that may know gets the key and the table', () => {
  const { driver, ask } = pfStage({ random: () => 0.25 });
  ask(0, 0x01);
  ask(0, 0x08, 6);
  expect(ask(0, 0x0b)[0]).toBe((NACK | 0x0b) >>> 0);
  driver.setVf(0, { rssQuery: true });
  expect(ask(0, 0x0b).slice(0, 11)).toEqual([(ACK | 0x0b) >>> 0, ...new Array(10).fill(0x4040_4040)]);
  // 128 entries of two bits, 0 1 2 3 0 1 2 3 …
  expect(ask(0, 0x0a).slice(0, 9)).toEqual([(ACK | 0x0a) >>> 0, ...new Array(8).fill(0xe4e4_e4e4)]);
});

test('F98: a queue that was stopped shuts off its function alone, until that resets', () => {
  const { card, driver, told, ask } = pfStage();
  for (const vf of [0, 1, 2]) ask(vf, 0x01);
  // Transmit queue 5 is the second one of function 1; cause: descriptors.
  card.set(AT.wqbrTx, 1 << 5);
  card.set(AT.lvmmcTx, 2);
  driver.interrupt(1);
  driver.poll();
  expect(told.slice(1)).toEqual(['VF 1, transmit queue 1: a descriptor that does not go with those before it']);
  const open = (): boolean[] => [0, 1, 2, 4].map((pool) => card.poolBit(AT.vfte, pool) && card.poolBit(AT.vfre, pool));
  expect(open()).toEqual([true, false, true, true]);
  expect([card.get(AT.wqbrTx), driver.vfInfo(1).isShutOff]).toEqual([0, true]);
  // It is told to begin anew; anything else is refused.
  expect(card.heard(1)?.[0]).toBe(0x0100);
  expect(ask(1, 0x02, ...MAC_WORDS)[0]).toBe(0x4000_0002);
  expect(open()[1]).toBe(false);
  ask(1, 0x01);
  expect(open()).toEqual([true, true, true, true]);
});

test('SR-09: a function that is reset by PCI loses what its driver got, and its siblings nothing', () => {
  const { card, driver, ask } = pfStage();
  for (const vf of [0, 1]) ask(vf, 0x01);
  ask(0, 0x02, ...MAC_WORDS);
  ask(1, 0x02, ...OTHER_WORDS);
  ask(0, 0x1_0004, 100);
  ask(1, 0x1_0004, 100);
  const sibling = (): unknown => [driver.vfInfo(1), card.get(AT.mpsar + 16), card.poolBit(AT.vfte, 1)];
  const before = sibling();
  card.resetVf(0);
  driver.interrupt(1);
  driver.poll();
  expect(driver.vfInfo(0)).toMatchObject({ activeMac: undefined, isClearToSend: false });
  expect([card.get(AT.mpsar + 8), card.get(AT.vlvfb + 8), card.poolBit(AT.vfte, 0)]).toEqual([0, 2, false]);
  expect(sibling()).toEqual(before);
  expect(card.get(AT.vflre[0])).toBe(0);
});

test('a reset of the card keeps what the host set, and lets every function begin anew', () => {
  const { card, driver, ask } = pfStage();
  driver.setVf(0, { mac: MAC, maxTxRate: 1000 });
  driver.setMulticast([Uint8Array.of(1, 0, 0x5e, 0, 0, 0x10)]);
  driver.setVlan(9, true);
  ask(0, 0x01);
  card.rates.clear();
  expect(driver.restart()).toBeUndefined();
  expect(driver.vfInfo(0)).toMatchObject({ mac: MAC, isClearToSend: false });
  expect(card.rates.get(0)).toBe((0x8000_0000 | (10 << 14)) >>> 0);
  // 12 bits from bit 36 of the address: 0x100 is bit 0 of word 8.
  expect(card.get(AT.mta + 4 * 8)).toBe(1);
  expect(ask(0, 0x01).slice(0, 3)).toEqual([0x8000_0001, ...MAC_WORDS]);
});

test('F42: the conversation can be read', () => {
  const { driver, ask, entries } = pfStage();
  ask(2, 0x1_0004, 100);
  ask(2, 0x01);
  ask(2, 0x08, 4);
  ask(2, 0x02, ...MAC_WORDS);
  ask(2, 0x77);
  expect(driver.mailbox).toEqual(entries);
  expect(driver.mailbox.flatMap(describeMail)).toEqual([
    'VF 2 → PF  SET_VLAN add 100',
    'PF → VF 2  NACK SET_VLAN: it has not reset',
    'VF 2 → PF  VF_RESET',
    'PF → VF 2  NACK VF_RESET: reset; no address is set',
    'VF 2 → PF  API_NEGOTIATE 1.3',
    'PF → VF 2  ACK CTS API_NEGOTIATE: this version from now on',
    'VF 2 → PF  SET_MAC_ADDR 52:54:00:00:00:01',
    'PF → VF 2  ACK CTS SET_MAC_ADDR: its address now',
    'VF 2 → PF  message 0x77',
    'PF → VF 2  NACK CTS message 0x77: no message that this driver knows',
  ]);
  expect([driver.counters.requests, driver.counters.requestsRefused]).toEqual([5, 2]);
});

test('a card that does not come out of reset, or is not there, is given up', () => {
  const card = new ScriptedPf();
  card.isGone = true;
  const setup = { access: card, dma: card.dma, messages: MESSAGES, now: () => 0, vfs: 1, events: { frame: () => {} } };
  const outcome = openIxgbePf({ ...setup, patience: { tries: 5 } });
  expect(isBreakdown(outcome) && outcome.code).toBe(BREAK.REMOVED);
});
