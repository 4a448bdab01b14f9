import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AT, pfStage } from './testing/scripted-pf.js';

const NACK = 0x6000_0000;

test('SR-28: numbers out of range are refused, and leave everything as it was', () => {
  const { card, driver, ask } = pfStage();
  ask(0, 0x01);
  ask(0, 0x08, 6);
  ask(0, 0x05, 1518);
  const state = (): string => JSON.stringify([driver.vfInfo(0), [...card.registers].filter(([at]) => at < AT.memory)]);
  const before = state();
  for (const words of [
    [0x1f_0003], // 31 hashes of 30
    [0xff_0003],
    [0x01_0003, 0x1000], // a hash of 13 bits
    [0x01_0004, 4095],
    [0x01_0004, 0xffff_ffff],
    [0x02_0004, 5], // neither add nor remove
    [0x05, 0],
    [0x05, 67],
    [0x05, 9729],
    [0x05, 0xffff_ffff],
    [0x0c, 4],
    [0x0c, 0xffff_ffff],
    [0x08, 99],
    [0x0d], // IPsec, which there is none
    [0xffff],
    [0x00],
  ])
    expect(ask(0, ...words)[0], `${words}`).toBe((words[0]! | NACK) >>> 0);
  expect(state()).toBe(before);
});

test('a function gets its share of addresses and VLANs, and no more', () => {
  const { driver, ask } = pfStage({ vfs: 60 });
  ask(0, 0x01);
  // 128 addresses, one of each function and a free one: 66 are left for 60 functions.
  expect(ask(0, 0x01_0006, 0x5452, 0x0900)[0]! >>> 28).toBe(0xa);
  expect(ask(0, 0x02_0006, 0x5452, 0x0a00)[0]! >>> 28).toBe(0x6);
  for (let vlan = 1; vlan <= 15; vlan++) expect(ask(0, 0x01_0004, vlan)[0]! >>> 28).toBe(0xa);
  expect(ask(0, 0x01_0004, 16)[0]! >>> 28).toBe(0x6);
  driver.setVf(0, { trust: true });
  for (let vlan = 16; vlan < 64; vlan++) expect(ask(0, 0x01_0004, vlan)[0]! >>> 28).toBe(0xa);
  expect(ask(0, 0x01_0004, 64)[0]! >>> 28).toBe(0x6);
  expect(() => driver.setVf(1, { vlan: 70 })).toThrow('vlan is 70');
});

test("SR-19: an address that the host set is nobody else's, whether its function uses it or not", () => {
  const { driver, ask } = pfStage();
  driver.setVf(0, { mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1), trust: true });
  for (const vf of [0, 1]) ask(vf, 0x01);
  // On trust function 0 takes another one: the host's is in no entry of the table.
  expect(ask(0, 0x02, 0x5452, 0x0900)[0]! >>> 28).toBe(0xa);
  expect(ask(1, 0x02, 0x5452, 0x0100)[0]! >>> 28).toBe(0x6);
  expect(ask(1, 0x01_0006, 0x5452, 0x0100)[0]! >>> 28).toBe(0x6);
  expect(() => driver.setVf(2, { mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1) })).toThrow('mac');
  expect(() => driver.setMac(Uint8Array.of(0x52, 0x54, 0, 0, 0, 1))).toThrow('mac');
});

test('an address is changed although its function has all entries of its share', () => {
  const { driver, card, ask } = pfStage({ vfs: 1 });
  ask(0, 0x01);
  ask(0, 0x02, 0x5452, 0x0100);
  for (let i = 1; i <= 125; i++) expect(ask(0, (i << 16) | 6, 0x0002, i)[0]! >>> 28).toBe(0xa);
  expect(ask(0, (126 << 16) | 6, 0x0002, 126)[0]! >>> 28).toBe(0x6);
  expect(ask(0, 0x02, 0x5452, 0x0900)[0]! >>> 28).toBe(0xa);
  driver.setVf(0, { mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 7) });
  const entries = Array.from({ length: 128 }, (_, i) => [card.get(AT.ral + 8 * i), card.get(AT.ral + 8 * i + 4)]);
  expect(entries).toContainEqual([0x5452, 0x8000_0700]);
  expect(entries).not.toContainEqual([0x5452, 0x8000_0900]);
});

test('SR-18: trust that is taken away takes along what came with it, without waiting for the function', () => {
  const { driver, card, ask } = pfStage();
  driver.setVf(0, { mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1), trust: true });
  ask(0, 0x01);
  ask(0, 0x08, 6);
  ask(0, 0x02, 0x5452, 0x0900);
  ask(0, 0x01_0006, 0x5452, 0x0a00);
  ask(0, 0x0c, 3);
  for (let vlan = 1; vlan <= 20; vlan++) ask(0, 0x01_0004, vlan);
  const vlans = (): number =>
    Array.from({ length: 64 }, (_, i) => card.get(AT.vlvfb + 8 * i) & 1).reduce((sum, bit) => sum + bit, 0);
  // VLAN 0, that of frames without a tag, is one of them.
  expect(vlans()).toBe(21);
  driver.setVf(0, { trust: false });
  // BAM, ROMPE, AUPE.
  expect([card.get(AT.vml2flt), card.get(AT.uta), vlans()]).toEqual([0x0b00_0000, 0, 16]);
  expect(driver.vfInfo(0)).toMatchObject({ activeMac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1), mode: 'multicast' });
  const stations = Array.from({ length: 128 }, (_, i) => card.get(AT.mpsar + 8 * i) & 1);
  expect(stations.filter((bit) => bit === 1).length).toBe(1);
  // It is told to begin anew.
  expect(card.heard(0)?.[0]).toBe(0x0100);
});

test("a priority of the host's alone is a tag in every frame: the function joins no VLAN of its own beside it", () => {
  const { driver, card, ask } = pfStage();
  driver.setVf(0, { qos: 5 });
  ask(0, 0x01);
  ask(0, 0x08, 6);
  // VLANA by default, priority 5, VLAN 0.
  expect(card.get(AT.vmvir)).toBe(0x4000_a000);
  expect(ask(0, 0x09)[3]).toBe(1);
  expect([ask(0, 0x01_0004, 0)[0]! >>> 28, ask(0, 0x01_0004, 7)[0]! >>> 28]).toEqual([0xa, 0x6]);
});

test('a driver that goes back to version 1.0 where there are long frames receives none, whatever the host sets next', () => {
  const { driver, card, ask } = pfStage({ mtu: 9000 });
  ask(0, 0x01);
  ask(0, 0x08, 6);
  ask(0, 0x05, 9018);
  expect(card.poolBit(AT.vfre, 0)).toBe(true);
  ask(0, 0x08, 0);
  ask(0, 0x05, 1518);
  driver.setVf(0, { spoofchk: false });
  expect(card.poolBit(AT.vfre, 0)).toBe(false);
});

test('a function that keeps the memory of its mailbox has it taken away; the others are served meanwhile', () => {
  const { card, driver, ask } = pfStage();
  card.keepers.add(0);
  card.say(0, 0x01);
  expect(ask(1, 0x01)[0]).toBe(0x4000_0001);
  expect(card.heard(0)?.[0]).toBe(0x4000_0001);
  expect(driver.state).toBe('running');
});

test('SR-28: whatever functions say in whatever order, each gets one answer, nobody else is touched, nothing is thrown', () => {
  const word = fc.oneof(
    fc.nat(0xffff_ffff),
    fc.nat(0x20),
    fc.constantFrom(0x5452, 0x0100, 0x1_0004, 0x1_0006, 0x3_0003),
  );
  const message = fc.tuple(fc.nat(1), fc.array(word, { minLength: 1, maxLength: 16 }));
  fc.assert(
    fc.property(fc.array(message, { maxLength: 40 }), (messages) => {
      const { card, driver, ask } = pfStage({ vfs: 3 });
      ask(2, 0x01);
      ask(2, 0x02, 0x5452, 0x0200);
      const bystander = (): string =>
        JSON.stringify([
          driver.vfInfo(2),
          card.poolBit(AT.vfte, 2),
          card.get(AT.vml2flt + 8),
          card.poolBit(AT.vfte, 3),
        ]);
      const before = bystander();
      for (const vf of [0, 1]) ask(vf, 0x01);
      for (const [vf, words] of messages) {
        card.say(vf, ...words);
        driver.interrupt(1);
        driver.poll();
        const isAnswer = (words[0]! & 0xc000_0000) !== 0;
        const heard = card.heard(vf);
        if (isAnswer) expect(heard).toBeUndefined();
        else expect((heard![0]! & 0x8000_0000) !== 0 || (heard![0]! & 0x4000_0000) !== 0).toBe(true);
      }
      expect(bystander()).toBe(before);
      expect(driver.mailbox.length).toBeLessThanOrEqual(256);
      driver.close();
      expect(card.pages.inUse).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('DR-16, DR-17: stray interrupts do nothing; a card that does not send is reset once more', () => {
  const it = pfStage();
  for (let i = 0; i < 1000; i++) it.driver.interrupt(i % 9);
  expect(it.driver.poll()).toBe(0);
  it.driver.sendBytes(new Uint8Array(60));
  it.time = 5001;
  it.driver.watch();
  expect([it.driver.state, it.driver.counters.restarts, it.driver.counters.txLost]).toEqual(['running', 1, 1]);
  it.card.isGone = true;
  it.driver.watch();
  expect(it.driver.state).toBe('broken');
});
