import { expect, test } from 'vitest';
import type { PortSettings, PortWishes } from './port-settings.js';
import { BROADCAST, CardStage, ethernet, station, vf, WIRE } from './testing/card-stage.js';

test('SR-18 a function that is not trusted may not become promiscuous, nor hear all groups', () => {
  const stage = new CardStage(2);
  const [port] = stage.card.virtual;
  expect(port!.request({ promiscuous: true })).toEqual({
    setting: 'promiscuous',
    message: 'promiscuous: the function is not trusted',
  });
  expect(port!.request({ allMulticast: true })?.setting).toBe('allMulticast');
  // A table with every bit set would be the same by another name.
  const table = new Uint32Array(128).fill(0xffff_ffff);
  expect(port!.request({ multicastHash: { table, offset: 0 } })?.setting).toBe('multicastHash');
  expect(port!.settings).toMatchObject({ promiscuous: false, allMulticast: false, multicastHash: undefined });
  expect(stage.sent(WIRE, ethernet(station(77), station(9)))).toEqual([]);
  port!.configure({ trusted: true });
  expect(port!.request({ promiscuous: true, allMulticast: true })).toBeUndefined();
});

test('SR-19 a function may not take the address of another port, nor change one that the host set', () => {
  const { card } = new CardStage(3);
  const [port] = card.virtual;
  expect(port!.request({ mac: station(1) })?.message).toBe(
    'mac: the host set 02:00:00:00:00:02, and the function is not trusted',
  );
  port!.configure({ trusted: true });
  expect(port!.request({ mac: station(1) })?.message).toBe('mac: 02:00:00:00:00:01 is an address of port 1');
  expect(port!.request({ unicast: [station(9), station(3)] })?.setting).toBe('unicast');
  expect(port!.request({ mac: station(9) })).toBeUndefined();
  expect(card.virtual[1]!.request({ unicast: [station(9)] })?.setting).toBe('unicast');
  expect(port!.settings.mac).toEqual(station(9));
  port!.forgetWishes();
  expect(port!.settings.mac).toEqual(station(2));
  // Without an address of the host's it has its own choice.
  port!.configure({ trusted: false, mac: new Uint8Array(6) });
  expect(port!.request({ mac: station(10) })).toBeUndefined();
});

test('SR-28 what a function asks for out of range is refused, and all is as before', () => {
  const { card } = new CardStage(1);
  const [port] = card.virtual;
  const before = port!.settings;
  const wishes: Record<string, unknown>[] = [
    { mac: new Uint8Array(5) },
    { mac: BROADCAST },
    { mac: '02:00:00:00:00:01' },
    { unicast: new Array<Uint8Array>(257).fill(station(2)) },
    { unicast: [BROADCAST] },
    { multicast: [station(2)] },
    { multicast: 7 },
    { multicastHash: { table: new Uint32Array(127), offset: 0 } },
    { multicastHash: { table: new Uint32Array(128), offset: 4 } },
    { multicastHash: null },
    { vlans: new Set([0]) },
    { vlans: new Set([4095]) },
    { vlans: [1] },
    { longestFrame: 63 },
    { longestFrame: Number.NaN },
    { longestFrame: 2 ** 32 },
    { promiscuous: 1 },
    { trusted: true },
    { constructor: true },
  ];
  for (const wish of wishes) {
    expect(port!.request(wish as Partial<PortWishes>)?.setting).toBe(Object.keys(wish)[0]);
    expect(port!.settings).toBe(before);
  }
});

test('what the host sets and cannot be is its mistake, named', () => {
  const { card } = new CardStage(1);
  const [port] = card.virtual;
  const before = port!.settings;
  const mistakes: [Record<string, unknown>, string][] = [
    [{ link: 'up' }, "link is up, want 'auto', 'enable' or 'disable'"],
    [{ portVlan: { id: 0, priority: 0, protocol: 0x8100 } }, 'portVlan is [object Object], want an id from 1 to 4094'],
    [{ portVlan: { id: 1, priority: 8, protocol: 0x8100 } }, 'portVlan'],
    [{ portVlan: { id: 1, priority: 0, protocol: 0x9100 } }, 'portVlan'],
    [{ maxTxRate: -1 }, 'maxTxRate is -1'],
    [{ maxTxRate: 10, minTxRate: 11 }, 'minTxRate is 11, want at most maxTxRate, 10'],
    [{ colour: 1 }, 'colour is 1, want a setting that there is'],
  ];
  for (const [changes, message] of mistakes) {
    expect(() => port!.configure(changes as Partial<PortSettings>)).toThrow(message);
    expect(port!.settings).toBe(before);
  }
});

test('the table of addresses is as large as the card says, for the host and for functions', () => {
  const { card } = new CardStage(2, { macTableEntries: 4 });
  const [port] = card.virtual;
  port!.configure({ trusted: true });
  expect(card.freeAddresses).toBe(1);
  expect(port!.request({ unicast: [station(9), station(10)] })?.message).toContain('full');
  expect(() => port!.configure({ unicast: [station(9), station(10)] })).toThrow('addresses is 2, want at most 1 more');
  port!.configure({ unicast: [station(9)] });
  expect(card.freeAddresses).toBe(0);
});

test('a function that is not trusted lists so many addresses and no more, so that others find room', () => {
  const { card } = new CardStage(2, { listedPerPort: 3 });
  const [port] = card.virtual;
  const groups = [1, 2, 3, 4].map((last) => Uint8Array.of(1, 0, 0x5e, 0, 0, last));
  expect(port!.request({ multicast: groups })?.message).toBe('multicast: more than 3, and the function is not trusted');
  expect(port!.request({ multicast: groups.slice(1) })).toBeUndefined();
  expect(port!.request({ unicast: [station(2)] })?.setting).toBe('unicast');
  const table = new Uint32Array(128);
  table[7] = 0xf0;
  expect(port!.request({ multicastHash: { table, offset: 0 } })?.setting).toBe('multicastHash');
  table[7] = 0x70;
  expect(port!.request({ multicastHash: { table, offset: 0 } })).toBeUndefined();
  port!.configure({ trusted: true });
  expect(port!.request({ multicast: groups })).toBeUndefined();
  // With the trust goes what rested on it.
  port!.configure({ trusted: false });
  expect(port!.settings.multicast).toEqual([]);
});

test('settings are taken as they are then: changing them later changes nothing', () => {
  const stage = new CardStage(2);
  const mac = station(50);
  const allowedVlans = new Set([5]);
  stage.card.virtual[1]!.configure({ mac, allowedVlans });
  mac[5] = 51;
  allowedVlans.clear();
  expect(stage.sent(WIRE, ethernet(station(50), station(99), [[0x8100, 5]]))).toEqual([vf(1)]);
});

test('a wish goes when the host sets the same thing, and when the host forbids it', () => {
  const { card } = new CardStage(1);
  const [port] = card.virtual;
  expect(port!.request({ vlans: new Set([5, 6]), longestFrame: 9000 })).toBeUndefined();
  port!.configure({ longestFrame: 1500 });
  expect(port!.settings).toMatchObject({ longestFrame: 1500, vlans: new Set([5, 6]) });
  port!.configure({ allowedVlans: new Set([5]) });
  expect(port!.settings.vlans).toBe('all');
  expect(port!.request({ vlans: new Set([6]) })?.message).toBe('vlans: the function may not be in VLAN 6');
  port!.configure({ portVlan: { id: 5, priority: 0, protocol: 0x8100 } });
  expect(port!.request({ vlans: new Set([5]) })?.setting).toBe('vlans');
  port!.configure({ portVlan: { id: 5, priority: 0, protocol: 0x88a8 } });
  expect(port!.request({ vlans: new Set([7]) })).toBeUndefined();
});
