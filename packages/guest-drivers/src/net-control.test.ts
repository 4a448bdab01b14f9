import { VIRTIO_F } from '@ringwire/virtio-spec';
import { type NetFeature, VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { expect, test } from 'vitest';
import { BREAK } from './breakdown.js';
import { COMMAND } from './control-queue.js';
import type { NetDriver } from './net-driver.js';
import { NetStage, type StageOptions } from './testing/net-stage.js';

/** mac 02:…:01, link up, 4 pairs, mtu 1500, 1000 Mbit/s full duplex, 40-byte keys, 128 entries, hashes, two tunnels. */
const config = (): Uint8Array =>
  Uint8Array.of(
    2,
    0,
    0,
    0,
    0,
    1,
    1,
    0,
    4,
    0,
    0xdc,
    5,
    0xe8,
    3,
    0,
    0,
    1,
    40,
    128,
    0,
    0x3f,
    0,
    0,
    0x80,
    0x11,
    0,
    0,
    0x80,
  );
/** With MQ or RSS the control queue is behind all pairs. */
const QUEUES = new Array<number>(9).fill(16);

function start(names: readonly NetFeature[], more: StageOptions = {}): [NetStage, NetDriver, number] {
  const features = ['CTRL_VQ' as const, ...names].map((name) => VIRTIO_NET_F[name]);
  const stage = new NetStage({ features, config: config(), queueSizes: QUEUES, ...more });
  const driver = stage.open();
  return [stage, driver, names.includes('MQ') || names.includes('RSS') ? 8 : 2];
}

/** What one call puts into the control queue. */
function commandOf(names: readonly NetFeature[], call: (driver: NetDriver) => void): number[] {
  const [stage, driver, index] = start(names);
  stage.answer(index);
  call(driver);
  return Array.from(stage.answer(index)[0]!);
}

const refused = (names: readonly NetFeature[], call: (driver: NetDriver) => void): string => {
  const [stage, driver, index] = start(names);
  stage.answer(index);
  try {
    call(driver);
  } catch (mistake) {
    expect(stage.answer(index)).toEqual([]);
    return String(mistake);
  }
  return '';
};

const KEY = Uint8Array.from({ length: 40 }, (_, i) => i);

test('drv.net.rx-filter.1,.2: receive modes go out as class 0, each with its feature alone', () => {
  expect(commandOf(['CTRL_RX'], ({ commands }) => commands!.setRxMode('PROMISC', true))).toEqual([0, 0, 1]);
  expect(commandOf(['CTRL_RX'], ({ commands }) => commands!.setRxMode('ALLMULTI', false))).toEqual([0, 1, 0]);
  expect(commandOf(['CTRL_RX_EXTRA'], ({ commands }) => commands!.setRxMode('NOBCAST', true))).toEqual([0, 5, 1]);
  for (const mode of ['PROMISC', 'ALLMULTI'] as const)
    expect(refused(['CTRL_RX_EXTRA'], ({ commands }) => commands!.setRxMode(mode, true))).toContain('CTRL_RX');
  for (const mode of ['ALLUNI', 'NOMULTI', 'NOUNI', 'NOBCAST'] as const)
    expect(refused(['CTRL_RX'], ({ commands }) => commands!.setRxMode(mode, true))).toContain('CTRL_RX_EXTRA');
});

test('drv.net.mac-filter.3,.4: the table is two counted lists, non-multicast first, and either may be empty', () => {
  const unicast = Uint8Array.of(2, 0, 0, 0, 0, 5);
  const multicast = Uint8Array.of(1, 0, 0x5e, 0, 0, 1);
  expect(commandOf(['CTRL_RX'], ({ commands }) => commands!.setMacTable([unicast], [multicast]))).toEqual([
    ...[1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 5],
    ...[1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1],
  ]);
  expect(commandOf(['CTRL_RX'], ({ commands }) => commands!.setMacTable([], []))).toEqual([
    1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  ]);
  expect(refused(['CTRL_RX'], ({ commands }) => commands!.setMacTable([multicast], []))).toContain('unicast');
});

test('drv.net.mac-filter.1: without CTRL_RX there is no command of class MAC', () => {
  expect(refused(['CTRL_MAC_ADDR'], ({ commands }) => commands!.setMac(Uint8Array.of(2, 0, 0, 0, 0, 7)))).toContain(
    'CTRL_RX',
  );
  expect(refused([], ({ commands }) => commands!.setMacTable([], []))).toContain('CTRL_RX');
});

test('drv.net.mac-filter.2: an address of the station’s own is told to the device with MAC_ADDR_SET', () => {
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 9);
  const [stage] = start(['CTRL_RX', 'MAC'], { setup: { mac } });
  expect(stage.answer()).toEqual([Uint8Array.of(1, 1, 2, 0, 0, 0, 0, 9)]);
  const [same] = start(['CTRL_RX', 'MAC']);
  expect(same.answer()).toEqual([]);
});

test('drv.net.config.3,.4: the address is the device’s with MAC, and a locally administered one without', () => {
  expect(Array.from(start(['MAC'])[1].mac)).toEqual([2, 0, 0, 0, 0, 1]);
  const { mac } = start([])[1];
  expect([mac[0]! & 3, mac.length]).toEqual([2, 6]);
});

test('DR-25: an address of the device’s that is none for a station is replaced, and counted', () => {
  for (const bytes of [new Uint8Array(6), Uint8Array.of(1, 0, 0x5e, 0, 0, 1), new Uint8Array(6).fill(0xff)]) {
    const bad = config();
    bad.set(bytes);
    const [, driver] = start(['MAC'], { config: bad });
    expect([driver.mac[0]! & 3, driver.counters.macReplaced]).toEqual([2, 1]);
  }
});

test('VLANs go out as class 2, with CTRL_VLAN', () => {
  expect(commandOf(['CTRL_VLAN'], ({ commands }) => commands!.setVlan(0x123, true))).toEqual([2, 0, 0x23, 1]);
  expect(commandOf(['CTRL_VLAN'], ({ commands }) => commands!.setVlan(0x123, false))).toEqual([2, 1, 0x23, 1]);
  expect(refused(['CTRL_VLAN'], ({ commands }) => commands!.setVlan(4096, true))).toContain('vlan');
});

test('drv.net.rss.1,.2,.3,.4,.5: RSS is configured with queues that are there, out of what the device can', () => {
  const good = { hashTypes: 0x3f, key: KEY, table: [0, 1, 1, 0], unclassified: 1, transmitQueues: 2 };
  const rss = ['RSS', 'MQ'] as const;
  const setup = { pairs: 2 };
  const command = (wrong: Partial<typeof good>, names: readonly NetFeature[] = rss): number[] | string => {
    const [stage, driver, index] = start(names, { setup });
    stage.answer(index);
    try {
      driver.commands!.rss.configure({ ...good, ...wrong });
    } catch (mistake) {
      return String(mistake);
    }
    return Array.from(stage.answer(index)[0]!);
  };
  // class 4, command 1; hash_types, mask 3, unclassified 1, table, max_tx_vq 2, key.
  expect(command({})).toEqual([4, 1, 0x3f, 0, 0, 0, 3, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 2, 0, 40, ...KEY]);
  expect(command({}, ['MQ'])).toContain('VIRTIO_NET_F_RSS');
  expect(command({ table: [0, 2] })).toContain('queue pairs 0 to 1');
  expect(command({ unclassified: 2 })).toContain('queue pairs 0 to 1');
  expect(command({ table: [0, 1, 0] })).toContain('power of two');
  expect(command({ table: new Array<number>(256).fill(0) })).toContain('at most 128');
  expect(command({ hashTypes: 0x40 })).toContain('hash_types');
  expect(command({ key: KEY.subarray(0, 39) })).toContain('hash_key_length');
});

test('with RSS alone, frames may be sent on as many pairs as the command said, when it was obeyed', () => {
  const [stage, driver, index] = start(['RSS'], { setup: { pairs: 3 } });
  expect(driver.activePairs).toBe(1);
  driver.commands!.rss.configure({ hashTypes: 1, key: KEY, table: [0, 1, 2, 0], unclassified: 0, transmitQueues: 3 });
  expect(driver.activePairs).toBe(1);
  stage.answer(index);
  stage.interrupt(driver);
  expect(driver.activePairs).toBe(3);
});

test('hashes are configured without RSS as class 4, command 2', () => {
  const command = commandOf(['HASH_REPORT'], ({ commands }) => commands!.setHash(0x3, KEY));
  expect(command).toEqual([4, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, ...KEY]);
});

test('drv.net.inner-hash.1,.2,.3: tunnel types go out with HASH_TUNNEL, out of the documented ones that the device has', () => {
  const names = ['HASH_REPORT', 'HASH_TUNNEL'] as const;
  expect(commandOf(names, ({ commands }) => commands!.setHashTunnel(0x11))).toEqual([7, 0, 0x11, 0, 0, 0]);
  expect(refused(['HASH_REPORT'], ({ commands }) => commands!.setHashTunnel(1))).toContain('HASH_TUNNEL');
  expect(refused(names, ({ commands }) => commands!.setHashTunnel(2))).toContain('enabled_tunnel_types');
  // Bit 31 stands in supported_tunnel_types, and means nothing.
  expect(refused(names, ({ commands }) => commands!.setHashTunnel(0x8000_0000))).toContain('enabled_tunnel_types');
});

test('drv.net.rss-context.1,.2,.3: contexts are 1 to what the device said, and end VQ_PAIRS_SET', () => {
  const rss = { hashTypes: 1, key: KEY, table: [0], unclassified: 0, transmitQueues: 1 };
  expect(refused(['RSS', 'MQ'], ({ commands }) => commands!.rss.queryContexts(() => {}))).toContain('RSS_CONTEXT');
  expect(refused(['RSS', 'MQ'], ({ commands }) => commands!.rss.setContext(1, rss))).toContain('RSS_CONTEXT');
  const [stage, driver, index] = start(['RSS', 'MQ', 'RSS_CONTEXT']);
  const { commands } = driver;
  expect(() => commands!.rss.setContext(1, rss)).toThrow('rss_ctx_id');
  commands!.rss.queryContexts(() => {});
  expect(stage.answer(index, () => [0, 2, 0])).toEqual([Uint8Array.of(9, 0)]);
  stage.interrupt(driver);
  for (const id of [0, 3]) expect(() => commands!.rss.setContext(id, rss)).toThrow('rss_ctx_id');
  commands!.rss.setContext(2, rss);
  expect(Array.from(stage.answer(index)[0]!.subarray(0, 15))).toEqual([9, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
  stage.interrupt(driver);
  expect(() => commands!.setPairs(1)).toThrow('no RSS context');
  commands!.rss.deleteContext(2);
  expect(stage.answer(index)).toEqual([Uint8Array.of(9, 3, 2, 0)]);
  stage.interrupt(driver);
  expect(commands!.setPairs(1)).toBe(true);
});

test('drv.net.offloads.1: only offloads whose features are negotiated are switched on', () => {
  const names = ['CTRL_GUEST_OFFLOADS', 'GUEST_CSUM', 'GUEST_TSO4', 'GUEST_USO4'] as const;
  expect(commandOf(names, ({ commands }) => commands!.setOffloads(['CSUM', 'USO4']))).toEqual([
    5, 0, 2, 0, 0, 0, 0, 0, 0x40, 0,
  ]);
  expect(refused(names, ({ commands }) => commands!.setOffloads(['TSO6']))).toContain('GUEST_TSO6');
});

test('drv.net.coalescing.1,.2,.3: coalescing names queues in use, each command with its feature', () => {
  const wanted = { maxPackets: 0x102, maxUsecs: 3 };
  const all = ['NOTF_COAL', 'VQ_NOTF_COAL'] as const;
  expect(commandOf(all, ({ commands }) => commands!.setCoalescing('transmit', wanted))).toEqual([
    6, 0, 2, 1, 0, 0, 3, 0, 0, 0,
  ]);
  expect(commandOf(all, ({ commands }) => commands!.setCoalescing('receive', wanted))).toEqual([
    6, 1, 2, 1, 0, 0, 3, 0, 0, 0,
  ]);
  expect(commandOf(all, ({ commands }) => commands!.setQueueCoalescing(1, wanted))).toEqual([
    ...[6, 2, 1, 0, 0, 0, 2, 1, 0, 0, 3, 0, 0, 0],
  ]);
  expect(refused(['VQ_NOTF_COAL'], ({ commands }) => commands!.setCoalescing('receive', wanted))).toContain(
    'NOTF_COAL',
  );
  expect(refused(['NOTF_COAL'], ({ commands }) => commands!.setQueueCoalescing(0, wanted))).toContain('VQ_NOTF_COAL');
  for (const index of [2, -1, 0.5])
    expect(refused(all, ({ commands }) => commands!.setQueueCoalescing(index, wanted))).toContain('vq_index');
});

test('drv.net.coalescing.4: parameters that come with ERR are not looked at', () => {
  const [stage, driver] = start(['VQ_NOTF_COAL']);
  const heard: unknown[] = [];
  const ask = (): boolean => driver.commands!.getQueueCoalescing(1, (...answer) => heard.push(answer));
  ask();
  expect(stage.answer(2, () => [0, 5, 0, 0, 0, 6, 0, 0, 0])).toEqual([Uint8Array.of(6, 3, 1, 0, 0, 0)]);
  stage.interrupt(driver);
  ask();
  stage.answer(2, () => [1, 5, 0, 0, 0, 6, 0, 0, 0]);
  stage.interrupt(driver);
  expect(heard).toEqual([
    [COMMAND.OK, { maxPackets: 5, maxUsecs: 6 }],
    [COMMAND.REFUSED, undefined],
  ]);
});

test('drv.net.stats.1,.2,.3,.4: statistics are asked for as the device named them, with room, and with more when it was short', () => {
  const [stage, driver] = start(['DEVICE_STATS']);
  const { stats } = driver.commands!;
  const wish = [{ index: 0, types: ['RX_BASIC'] }] as const;
  expect(() => stats.get(wish, () => {})).toThrow('the device named');
  const types: unknown[] = [];
  stats.query((_, named) => types.push(named));
  // RX_BASIC, TX_BASIC, CVQ, and a bit that means nothing.
  expect(stage.answer(2, () => [0, 1, 0, 1, 0, 1, 0, 0, 0x80])).toEqual([Uint8Array.of(8, 0)]);
  stage.interrupt(driver);
  expect(types).toEqual([['RX_BASIC', 'TX_BASIC', 'CVQ']]);
  expect(() => stats.get([{ index: 0, types: ['TX_BASIC'] }], () => {})).toThrow('RX type');
  expect(() => stats.get([{ index: 2, types: ['RX_BASIC'] }], () => {})).toThrow('CVQ type');
  expect(() => stats.get([{ index: 3, types: ['RX_BASIC'] }], () => {})).toThrow('vq_index');
  const heard: unknown[] = [];
  stats.get(wish, (_, replies) => heard.push(replies));
  const reply = [0, 0, 0, 0, 0, 0, 56, 0, ...[1, 2, 3, 4, 5, 6].flatMap((n) => [n, 0, 0, 0, 0, 0, 0, 0])];
  // A device with more counters than were known: it fills the buffer to its end with another reply in front.
  const command = stage.answer(2, () => [0, ...[99, 0, 0, 0, 0, 0, 120, 0], ...new Array<number>(112).fill(0)]);
  expect(command).toEqual([Uint8Array.of(8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)]);
  stage.interrupt(driver);
  expect(heard).toEqual([]);
  stage.answer(2, () => [0, ...[99, 0, 0, 0, 0, 0, 120, 0], ...new Array<number>(112).fill(0), ...reply]);
  stage.interrupt(driver);
  expect(heard).toMatchObject([
    [{ index: 0, type: 'RX_BASIC', counters: { rx_notifications: 1n, rx_drop_overruns: 6n } }],
  ]);
});

test('DR-19: an ack of 0xAA, and an answer without an ack, are failures', () => {
  for (const answer of [[0xaa], [2], []]) {
    const [stage, driver] = start(['CTRL_RX', 'MAC']);
    const heard: number[] = [];
    driver.commands!.setRxMode('PROMISC', true, (outcome) => heard.push(outcome));
    stage.answer(2, () => answer);
    stage.interrupt(driver);
    expect([heard, driver.counters.commandsRefused]).toEqual([[COMMAND.REFUSED], 1]);
  }
});

test('DR-18: a command that is not answered in time breaks the device; an answer that comes later does no harm', () => {
  const [stage, driver] = start(['CTRL_RX']);
  const heard: number[] = [];
  driver.commands!.setRxMode('PROMISC', true, (outcome) => heard.push(outcome));
  const ring = stage.device.ring(2);
  ring.takeBurst(stage.chains, 1);
  stage.time += 5001;
  driver.watch();
  expect([heard, driver.state, driver.counters.breaks[BREAK.CONTROL_UNANSWERED]]).toEqual([
    [COMMAND.UNANSWERED],
    'broken',
    1,
  ]);
  ring.putUsed(stage.chains.token[0]!, 1);
  ring.publishUsed();
  stage.interrupt(driver);
  driver.poll();
  expect([heard, driver.commands]).toEqual([[COMMAND.UNANSWERED], undefined]);
});

test('a command too many is put off, and one that is too long is the caller’s mistake', () => {
  const [stage, driver] = start(['CTRL_RX', 'MAC']);
  let sent = 0;
  while (driver.commands!.setRxMode('PROMISC', true)) sent++;
  expect(sent).toBe(8);
  stage.answer();
  stage.interrupt(driver);
  expect(driver.commands!.setRxMode('PROMISC', true)).toBe(true);
  const many = Array.from({ length: 2000 }, () => Uint8Array.of(2, 0, 0, 0, 0, 1));
  expect(() => driver.commands!.setMacTable(many, [])).toThrow('bytes');
});

test('drv.net.announce.1,.2: when the device asks for it, the network hears of the station, and the device an ACK', () => {
  const bytes = config();
  const [stage, driver] = start(['GUEST_ANNOUNCE', 'STATUS', 'MAC'], { config: bytes });
  bytes[6] = 3;
  stage.interrupt(driver, 2);
  const sent = stage.takeSent();
  expect(sent).toHaveLength(1);
  // To everybody, from the station, RARP.
  expect(Array.from(sent[0]!.subarray(12, 26))).toEqual([
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x80, 0x35,
  ]);
  expect(stage.answer()).toEqual([Uint8Array.of(3, 0)]);
  expect(stage.told).toEqual(['announce']);
});

test('drv.net.config.5,.6: the link is up without STATUS, and as status bit 0 says with it', () => {
  const bytes = config();
  bytes[6] = 0;
  expect(start([], { config: bytes })[1].isLinkUp).toBe(true);
  const [stage, driver] = start(['STATUS'], { config: bytes });
  expect(driver.isLinkUp).toBe(false);
  bytes[6] = 1;
  stage.interrupt(driver, 2);
  expect([driver.isLinkUp, stage.told]).toEqual([true, ['link up']]);
});

test('drv.net.config.11,.12: speed and duplex are read again after a change, and out of range they are unknown', () => {
  const bytes = config();
  const [stage, driver] = start(['SPEED_DUPLEX'], { config: bytes });
  expect([driver.speed, driver.isFullDuplex]).toEqual([1000, true]);
  bytes.set([0x10, 0x27, 0, 0, 0], 12);
  stage.interrupt(driver, 2);
  expect([driver.speed, driver.isFullDuplex]).toEqual([10000, false]);
  bytes.set([0, 0, 0, 0x80, 2], 12);
  stage.interrupt(driver, 2);
  expect([driver.speed, driver.isFullDuplex]).toEqual([-1, undefined]);
});

test('drv.net.config.1: no configuration field is ever written', () => {
  for (const transport of ['mmio', 'pci'] as const) {
    const [stage, driver] = start(['CTRL_RX', 'MAC', 'STATUS'], {
      transport,
      setup: { mac: Uint8Array.of(2, 0, 0, 0, 0, 9) },
    });
    stage.answer();
    stage.interrupt(driver, 3);
    driver.close();
    expect(stage.device.accesses(/^w config/)).toEqual([]);
  }
});

test('with EVENT_IDX the device is asked to tell of each answer', () => {
  const stage = new NetStage({
    features: [VIRTIO_F.EVENT_IDX, VIRTIO_NET_F.CTRL_VQ, VIRTIO_NET_F.CTRL_RX, VIRTIO_NET_F.MAC],
    config: config(),
  });
  const driver = stage.open();
  for (let i = 0; i < 3; i++) {
    driver.commands!.setRxMode('PROMISC', true);
    const ring = stage.device.ring(2);
    stage.chains.clear();
    ring.takeBurst(stage.chains, 1);
    ring.putUsed(stage.chains.token[0]!, 1);
    expect(ring.publishUsed()).toBe(true);
    stage.interrupt(driver);
  }
});

test('DR-23: a control queue without room for a command ends the device, which is given up cleanly', () => {
  const features = (['CTRL_VQ', 'CTRL_RX'] as const).map((name) => VIRTIO_NET_F[name]);
  const stage = new NetStage({ features, config: config(), queueSizes: [16, 16, 1] });
  expect(() => stage.open()).toThrow('queue 2 has room for 1 elements, want 2 for a command');
});
