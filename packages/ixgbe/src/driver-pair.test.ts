import { ESWITCH_DROP } from '@ringwire/eswitch';
import { FrameBurst, FramePool, isBreakdown, openPciTransport } from '@ringwire/guest-drivers';
import { describeMail, IxgbeOffload, openIxgbePf, openIxgbeVfPoll } from '@ringwire/guest-drivers/ixgbe';
import { VIRTIO_NET_HASH_REPORT, VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import { expect, test } from 'vitest';
import { DriverStage, frameTo, macOf } from './testing/driver-stage.js';
import { isWhole, partialTcp, partialTcp6, partialUdp } from './testing/tcp-frames.js';

const STATION: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 99);
const GROUP: Uint8Array = Uint8Array.of(0x01, 0, 0x5e, 1, 2, 3);

/** The card is to write the checksum at this distance from here, and make segments of it. */
function offloadOf(csumStart: number, gsoType = 0, gsoSize = 0): IxgbeOffload {
  const offload = new IxgbeOffload();
  offload.flags = VIRTIO_NET_HDR_F.NEEDS_CSUM;
  offload.csumStart = csumStart;
  offload.csumOffset = 16;
  offload.gsoType = gsoType;
  offload.gsoSize = gsoSize;
  return offload;
}

test('the drivers come up through the mailbox, and see the wire', () => {
  const stage = new DriverStage();
  const { driver, told } = stage.open(0);
  expect([driver.state, driver.isLinkUp, driver.speed, driver.api]).toEqual(['running', true, 10_000, 6]);
  expect(told).toEqual(['up']);
  // The register and the message of one reset are one reset.
  expect(stage.pf.driver.counters.vfResets).toBe(1);
  expect(stage.pf.driver.vfInfo(0)).toMatchObject({ activeMac: macOf(1), isClearToSend: true, api: 6 });
  expect(stage.pf.driver.mailbox.flatMap(describeMail).slice(0, 4)).toEqual([
    'VF 0 → PF  VF_RESET',
    'PF → VF 0  NACK VF_RESET: reset; no address is set',
    'VF 0 → PF  API_NEGOTIATE 1.5',
    'PF → VF 0  ACK CTS API_NEGOTIATE: this version from now on',
  ]);
});

test('F38: drivers of one kind of function refuse the other kinds', () => {
  const stage = new DriverStage();
  const access = stage.accessOf(0);
  expect(openPciTransport(access)).toMatchObject({ message: expect.stringContaining('8086:10ed is no virtio device') });
  const events = { frame: () => {} };
  const messages = [{ addressLo: 0, addressHi: 0, data: 0 }];
  const pf = openIxgbePf({ access, dma: stage.dmaOf(0), messages, now: () => 0, vfs: 1, events });
  expect(pf).toMatchObject({ message: expect.stringContaining('8086:10ed is no 82599 physical function') });
});

test('frames pass between virtual functions, the physical one and the wire', () => {
  const stage = new DriverStage();
  const [one, other] = [stage.open(0), stage.open(1)];
  const frame = frameTo(macOf(2), macOf(1));
  one.driver.sendBytes(frame);
  stage.run();
  expect(other.heard.map(({ bytes }) => bytes)).toEqual([frame]);
  const toPf = frameTo(macOf(0), macOf(2));
  other.driver.sendBytes(toPf);
  const fromPf = frameTo(macOf(1), macOf(0));
  stage.pf.driver.sendBytes(fromPf);
  stage.run();
  expect(stage.pf.heard.map(({ bytes }) => bytes)).toEqual([toPf]);
  expect(one.heard.map(({ bytes }) => bytes)).toEqual([fromPf]);
  expect(stage.onWire).toEqual([]);
  const out = frameTo(STATION, macOf(1));
  one.driver.sendBytes(out);
  stage.run();
  expect(stage.onWire).toEqual([out]);
});

test('a thousand frames through rings of 64 arrive in order, each once', () => {
  const stage = new DriverStage();
  const [one, other] = [stage.open(0, { queueSize: 64 }), stage.open(1, { queueSize: 64 })];
  for (let i = 0; i < 1000; i++) {
    const frame = frameTo(macOf(2), macOf(1), 60 + (i % 1400));
    new DataView(frame.buffer).setUint32(14, i);
    expect(one.driver.sendBytes(frame)).toBe(0);
    if (i % 16 === 15) stage.run();
  }
  stage.run();
  const numbers = other.heard.map(({ bytes }) => new DataView(bytes.buffer).getUint32(14));
  expect(numbers).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  expect(other.heard.every(({ bytes }, i) => bytes.length === 60 + (i % 1400))).toBe(true);
});

test('82599 §7.2.5: the card writes the checksum, and the receiver is told that it is right', () => {
  const stage = new DriverStage();
  const [one, other] = [stage.open(0), stage.open(1)];
  one.driver.sendBytes(partialTcp(macOf(2), macOf(1), 100), offloadOf(34));
  one.driver.sendBytes(partialTcp6(macOf(2), macOf(1), 101), offloadOf(54));
  one.driver.sendBytes(partialTcp(STATION, macOf(1), 99), offloadOf(34));
  stage.run();
  expect(other.heard.map(({ bytes }) => isWhole(bytes))).toEqual([true, true]);
  expect(other.heard.map(({ flags }) => flags)).toEqual([VIRTIO_NET_HDR_F.DATA_VALID, VIRTIO_NET_HDR_F.DATA_VALID]);
  expect(stage.onWire.map(isWhole)).toEqual([true]);
});

test('82599 §7.2.4: large frames leave as segments with lengths and checksums of their own', () => {
  for (const isV4 of [true, false]) {
    const stage = new DriverStage();
    const one = stage.open(0);
    const headers = isV4 ? 54 : 74;
    const frame = (isV4 ? partialTcp : partialTcp6)(STATION, macOf(1), 5000);
    const type = isV4 ? VIRTIO_NET_HDR_GSO.TCPV4 : VIRTIO_NET_HDR_GSO.TCPV6;
    one.driver.sendBytes(frame, offloadOf(headers - 20, type, 1400));
    stage.run();
    expect(stage.onWire.map(({ length }) => length - headers)).toEqual([1400, 1400, 1400, 800]);
    expect(stage.onWire.map(isWhole)).toEqual([true, true, true, true]);
    expect(stage.onWire.flatMap((segment) => [...segment.subarray(headers)])).toEqual([...frame.subarray(headers)]);
    // PSH is the last segment's alone.
    expect(stage.onWire.map((segment) => segment[headers - 7]! & 0x08)).toEqual([0, 0, 0, 8]);
  }
});

test('82599 §7.10.3: large frames to a neighbour or the host arrive as segments that are whole', () => {
  const stage = new DriverStage();
  const [one, other] = [stage.open(0), stage.open(1)];
  const frame = partialTcp(macOf(2), macOf(1), 5000);
  one.driver.sendBytes(frame, offloadOf(34, VIRTIO_NET_HDR_GSO.TCPV4, 1400));
  const toPf = partialTcp(macOf(0), macOf(1), 3000);
  one.driver.sendBytes(toPf, offloadOf(34, VIRTIO_NET_HDR_GSO.TCPV4, 1460));
  stage.run();
  const got = other.heard.map(({ bytes }) => bytes);
  expect(got.map(({ length }) => length - 54)).toEqual([1400, 1400, 1400, 800]);
  expect(got.map(isWhole)).toEqual([true, true, true, true]);
  expect(got.flatMap((segment) => [...segment.subarray(54)])).toEqual([...frame.subarray(54)]);
  expect(stage.pf.heard.map(({ bytes }) => [bytes.length - 54, isWhole(bytes)])).toEqual([
    [1460, true],
    [1460, true],
    [80, true],
  ]);
  expect(stage.onWire).toEqual([]);
});

test('82599 §7.2.4, §7.2.5: checksums of UDP and of IPv4, and large datagrams as several', () => {
  const stage = new DriverStage();
  const [one, other] = [stage.open(0), stage.open(1)];
  const udp = offloadOf(34);
  udp.csumOffset = 6;
  one.driver.sendBytes(partialUdp(macOf(2), macOf(1), 301), udp);
  // Without a checksum of IPv4: the card writes it, for a frame with and without one of TCP.
  for (const isChecked of [true, false]) {
    const frame = partialTcp(macOf(2), macOf(1), 20).fill(0, 24, 26);
    const offload = isChecked ? offloadOf(34) : new IxgbeOffload();
    offload.ipChecksum = true;
    one.driver.sendBytes(frame, offload);
  }
  const large = offloadOf(34, VIRTIO_NET_HDR_GSO.UDP_L4, 1000);
  large.csumOffset = 6;
  one.driver.sendBytes(partialUdp(macOf(2), macOf(1), 2500), large);
  stage.run();
  const got = other.heard.map(({ bytes }) => bytes);
  expect(got.map(({ length }) => length)).toEqual([343, 74, 74, 1042, 1042, 542]);
  // The third one has a checksum of TCP that nobody was asked to finish.
  expect(got.map(isWhole)).toEqual([true, true, false, true, true, true]);
  expect([...got[2]!.subarray(24, 26)]).toEqual([...got[1]!.subarray(24, 26)]);
});

test('large frames leave with a tag that is put in, or that they have', () => {
  const stage = new DriverStage();
  const one = stage.open(0);
  one.driver.commands.addVlan(100);
  const offload = offloadOf(34, VIRTIO_NET_HDR_GSO.TCPV4, 1000);
  offload.vlanTci = 100;
  const frame = partialTcp(STATION, macOf(1), 2500);
  one.driver.sendBytes(frame, offload);
  const tagged = Uint8Array.of(...frame.subarray(0, 12), 0x81, 0, 0, 100, ...frame.subarray(12));
  one.driver.sendBytes(tagged, offloadOf(38, VIRTIO_NET_HDR_GSO.TCPV4, 1000));
  stage.run();
  const untagged = stage.onWire.map((segment) => Uint8Array.of(...segment.subarray(0, 12), ...segment.subarray(16)));
  expect(stage.onWire.map((segment) => [...segment.subarray(12, 16)])).toEqual(new Array(6).fill([0x81, 0, 0, 100]));
  expect(untagged.map(isWhole)).toEqual(new Array(6).fill(true));
  expect(untagged.slice(0, 3).flatMap((segment) => [...segment.subarray(54)])).toEqual([...frame.subarray(54)]);
});

test('a member of a VLAN gets its frames with the tag beside them; others do not get them', () => {
  const stage = new DriverStage();
  const [one, member, stranger] = [stage.open(0), stage.open(1), stage.open(2)];
  expect([one.driver.commands.addVlan(100), member.driver.commands.addVlan(100)]).toEqual([true, true]);
  const tagged = new IxgbeOffload();
  tagged.vlanTci = 0x6064;
  one.driver.sendBytes(frameTo(new Uint8Array(6).fill(0xff), macOf(1)), tagged);
  one.driver.sendBytes(frameTo(macOf(3), macOf(1)), tagged);
  stage.run();
  expect(member.heard).toMatchObject([{ vlanTci: 0x6064, bytes: frameTo(new Uint8Array(6).fill(0xff), macOf(1)) }]);
  expect(stranger.heard).toEqual([]);
  // On the wire the tag is in the frame.
  expect(stage.onWire[0]!.slice(12, 16)).toEqual(Uint8Array.of(0x81, 0, 0x60, 0x64));
});

test('a port VLAN is neither seen nor chosen by the function that is in it', () => {
  const stage = new DriverStage();
  stage.pf.driver.setVf(0, { vlan: 50, qos: 3 });
  stage.pf.driver.setVf(1, { vlan: 50 });
  const [one, other] = [stage.open(0), stage.open(1)];
  stage.open(2);
  one.driver.sendBytes(frameTo(macOf(2), macOf(1)));
  one.driver.sendBytes(frameTo(macOf(3), macOf(1)));
  one.driver.sendBytes(frameTo(STATION, macOf(1)));
  stage.run();
  expect(other.heard).toMatchObject([{ vlanTci: -1, bytes: frameTo(macOf(2), macOf(1)) }]);
  expect(stage.guests[2]!.heard).toEqual([]);
  expect(stage.onWire.at(-1)!.slice(12, 16)).toEqual(Uint8Array.of(0x81, 0, 0x60, 0x32));
  expect(one.driver.commands.addVlan(7)).toBe(false);
});

test('groups: those who asked get the frames, by the hash of the address; all of them on trust', () => {
  const stage = new DriverStage();
  const [one, member, stranger] = [stage.open(0), stage.open(1), stage.open(2)];
  expect(member.driver.commands.setMulticast([GROUP])).toBe(true);
  one.driver.sendBytes(frameTo(GROUP, macOf(1)));
  stage.run();
  expect([member.heard.length, stranger.heard.length, stage.onWire.length]).toEqual([1, 0, 1]);
  expect(stranger.driver.commands.setMode('allMulticast')).toBe('multicast');
  stage.pf.driver.setVf(2, { trust: true });
  expect(stranger.driver.commands.setMode('allMulticast')).toBe('allMulticast');
  one.driver.sendBytes(frameTo(GROUP, macOf(1)));
  stage.run();
  expect([member.heard.length, stranger.heard.length]).toEqual([2, 1]);
});

test('SR-18: promiscuous on trust alone', () => {
  const stage = new DriverStage(3, {}, { promiscuous: 'everything' });
  const [one, spy] = [stage.open(0), stage.open(1)];
  expect(spy.driver.commands.setMode('promiscuous')).toBe('multicast');
  one.driver.sendBytes(frameTo(STATION, macOf(1)));
  stage.run();
  expect(spy.heard).toEqual([]);
  stage.pf.driver.setVf(1, { trust: true });
  expect(spy.driver.commands.setMode('promiscuous')).toBe('promiscuous');
  one.driver.sendBytes(frameTo(STATION, macOf(1)));
  stage.run();
  expect(spy.heard.length).toBe(1);
});

test('long frames pass where the card has them, in several buffers', () => {
  const stage = new DriverStage(3, { mtu: 9000 });
  const [one, other] = [stage.open(0, { mtu: 9000 }), stage.open(1, { mtu: 9000 })];
  const frame = frameTo(macOf(2), macOf(1), 9014);
  one.driver.sendBytes(frame);
  stage.run();
  expect(other.heard.map(({ bytes }) => bytes)).toEqual([frame]);
  const plain = new DriverStage();
  expect(plain.open(0).driver.commands.setMtu(9000)).toBe(false);
});

test("SR-11: a frame from a sibling's address goes nowhere, and is counted by the switch", () => {
  const stage = new DriverStage();
  const [one, other] = [stage.open(0), stage.open(1)];
  one.driver.sendBytes(frameTo(macOf(2), macOf(3)));
  one.driver.sendBytes(frameTo(STATION, macOf(3)));
  stage.run();
  expect([other.heard.length, stage.onWire.length]).toEqual([0, 0]);
  expect(stage.eswitch.virtual[0]!.counters.drops[ESWITCH_DROP.MAC_SPOOF]).toBe(2);
  stage.pass(50);
  expect(stage.pf.driver.counters.spoofed).toBe(2);
  stage.pf.driver.setVf(0, { spoofchk: false });
  one.driver.sendBytes(frameTo(macOf(2), macOf(3)));
  stage.run();
  expect(other.heard.length).toBe(1);
});

test("SR-19: an address of a sibling's or of the physical function's is refused", () => {
  const stage = new DriverStage();
  const one = stage.open(0);
  stage.open(1);
  expect([one.driver.commands.setMac(macOf(2)), one.driver.commands.setMac(macOf(0))]).toEqual([false, false]);
  expect(one.driver.commands.setUnicast([macOf(2)])).toBe(false);
  expect(one.driver.commands.setUnicast([Uint8Array.of(2, 0, 0, 0, 0, 7)])).toBe(true);
  stage.pf.driver.sendBytes(frameTo(Uint8Array.of(2, 0, 0, 0, 0, 7), macOf(0)));
  stage.run();
  expect(one.heard.length).toBe(1);
});

test('a reset of the card: drivers begin anew with what they had, and nothing is lost but what was on its way', () => {
  const stage = new DriverStage();
  const [one, other] = [stage.open(0), stage.open(1)];
  other.driver.commands.addVlan(100);
  other.driver.commands.setMulticast([GROUP]);
  stage.pf.driver.setVf(1, { maxTxRate: 1000 });
  one.driver.sendBytes(frameTo(macOf(2), macOf(1)));
  expect(stage.pf.driver.restart()).toBeUndefined();
  stage.pass(1000);
  expect([one.driver.state, other.driver.state]).toEqual(['running', 'running']);
  expect(other.told.slice(-3)).toContain('restarted');
  expect(one.driver.counters.txLost + other.driver.counters.rxFrames).toBe(1);
  const before = other.heard.length;
  one.driver.sendBytes(frameTo(GROUP, macOf(1)));
  one.driver.sendBytes(frameTo(macOf(2), macOf(1)));
  stage.run();
  expect(other.heard.length - before).toBe(2);
  expect(one.driver.counters.pfResets).toBe(1);
});

test('SR-09: a function-level reset of one function: its driver begins anew, and its siblings lose nothing', () => {
  const stage = new DriverStage();
  const [one, other, third] = [stage.open(0), stage.open(1), stage.open(2)];
  stage.resetVf(0);
  for (let i = 0; i < 20; i++) other.driver.sendBytes(frameTo(macOf(3), macOf(2)));
  stage.run();
  expect(third.heard.length).toBe(20);
  one.driver.close();
  const again = stage.open(0);
  again.driver.sendBytes(frameTo(macOf(2), macOf(1)));
  stage.run();
  expect(other.heard.length).toBe(1);
  expect([other.told, third.told]).toEqual([['up'], ['up']]);
});

test('what the host changes is noticed: the function begins anew, with the new address', () => {
  const stage = new DriverStage();
  const one = stage.open(0, {}, 'card');
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 5);
  stage.pf.driver.setVf(0, { mac });
  stage.pass(1000);
  expect([...one.driver.mac]).toEqual([...mac]);
  expect(one.driver.state).toBe('running');
  stage.pf.driver.setVf(0, { linkState: 'disable' });
  stage.pass(1000);
  expect(one.driver.isLinkUp).toBe(false);
  stage.pf.driver.setVf(0, { linkState: 'auto' });
  stage.pass(1000);
  expect(one.driver.isLinkUp).toBe(true);
});

test('F45: a rate is set in the switch; what the card cannot do is refused', () => {
  const stage = new DriverStage();
  stage.open(0);
  stage.pf.driver.setVf(0, { maxTxRate: 2500 });
  stage.run();
  expect(stage.eswitch.virtual[0]!.settings.maxTxRate).toBe(2500);
  expect(() => stage.pf.driver.setVf(0, { minTxRate: 1 })).toThrow('minTxRate is 1, want 0');
});

test('F44: the physical function sets the speed, and virtual ones see it', () => {
  const stage = new DriverStage();
  const one = stage.open(0);
  stage.pf.driver.setVf(0, { maxTxRate: 500 });
  stage.pf.driver.setLink(1000);
  stage.pass(100);
  expect([stage.pf.driver.speed, one.driver.speed, one.driver.isFullDuplex]).toEqual([1000, 1000, true]);
  // The limit is the same in Mbit/s.
  expect(stage.eswitch.virtual[0]!.settings.maxTxRate).toBe(500);
  expect(() => stage.pf.driver.setVf(0, { maxTxRate: 2500 })).toThrow('maxTxRate');
});

test('F98: a function that gives the card a bad descriptor is shut off until it resets; its siblings go on', () => {
  const stage = new DriverStage();
  const [bad, one, other] = [stage.open(0), stage.open(1), stage.open(2)];
  // A tail behind the end of the ring.
  stage.accessOf(0).barWrite(0, 0x2018, 4, 0xffff);
  stage.accessOf(0).barWrite(0, 0x1018, 4, 0xffff);
  stage.run();
  expect(stage.pf.told.length).toBeGreaterThan(0);
  expect(stage.pf.driver.counters.misbehaved).toBe(1);
  one.driver.sendBytes(frameTo(macOf(3), macOf(2)));
  stage.run();
  expect(other.heard.length).toBe(1);
  stage.pass(1000);
  expect([bad.driver.state, stage.pf.driver.vfInfo(0).isShutOff]).toEqual(['running', false]);
  bad.driver.sendBytes(frameTo(macOf(3), macOf(1)));
  stage.run();
  expect(other.heard.length).toBe(2);
});

test('hashes of received frames are told; queues of a function share its frames', () => {
  const stage = new DriverStage();
  const one = stage.open(0);
  const other = stage.open(1, { pairs: 4 });
  expect(other.driver.activePairs).toBe(4);
  for (let i = 0; i < 64; i++) {
    const frame = partialTcp(macOf(2), macOf(1), 10);
    frame[35] = i;
    one.driver.sendBytes(frame, offloadOf(34));
  }
  stage.run();
  expect(other.heard.length).toBe(64);
  expect(new Set(other.heard.map(({ hashReport }) => hashReport))).toEqual(new Set([VIRTIO_NET_HASH_REPORT.TCPv4]));
  expect(other.driver.commands.hashKey()).toBeUndefined();
  stage.pf.driver.setVf(1, { rssQuery: true });
  expect(other.driver.commands.hashKey()).toEqual(new Uint8Array(40).fill(128));
  expect(other.driver.commands.indirection()?.slice(0, 5)).toEqual(Uint8Array.of(0, 1, 2, 3, 0));
});

test('a virtual function that is taken away is noticed', () => {
  const stage = new DriverStage();
  const one = stage.open(0);
  stage.removeVfs();
  stage.pass(100);
  expect(one.driver.state).toBe('broken');
  expect(one.told.at(-1)).toContain('not there any more');
});

test('the poll-mode driver sends and receives bursts, with the same card and the same neighbours', () => {
  const stage = new DriverStage();
  const other = stage.open(1);
  const dma = stage.dmaOf(0);
  const pool = new FramePool(dma, { buffers: 600 });
  const patience = { tries: 200, pause: () => stage.run() };
  const driver = openIxgbeVfPoll({ access: stage.accessOf(0), dma, pool, mac: macOf(1), patience, tellsFacts: true });
  if (isBreakdown(driver)) throw new Error(driver.message);
  const burst = new FrameBurst(64);
  for (let round = 0; round < 20; round++) {
    burst.clear();
    for (let i = 0; i < 32; i++) burst.push(pool.fill(frameTo(macOf(2), macOf(1), 64 + i)), 64 + i);
    expect(driver.txBurst(0, burst)).toBe(32);
    stage.run();
  }
  expect(other.heard.length).toBe(640);
  for (let i = 0; i < 40; i++) other.driver.sendBytes(partialTcp(macOf(1), macOf(2), 6 + i), offloadOf(34));
  stage.run();
  burst.clear();
  expect(driver.rxBurst(0, burst)).toBe(40);
  for (let i = 0; i < 40; i++) {
    const frame = burst.frame[i]!;
    expect(isWhole(pool.read(frame))).toBe(true);
    expect(pool.flagsOf(frame)).toBe(VIRTIO_NET_HDR_F.DATA_VALID);
    pool.put(frame);
  }
  expect(driver.check()).toBeUndefined();
  expect(driver.close()).toBeUndefined();
  expect(pool.free).toBe(600);
});
