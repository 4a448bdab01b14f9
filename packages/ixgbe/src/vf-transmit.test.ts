import { DELIVERED, OFFLOAD } from '@ringwire/net-backend';
import { PF_ROW, rowAt, TX_QUEUE, VF_REG, vfTxAt } from '@ringwire/nic-spec/ixgbe';
import { describe, expect, test } from 'vitest';
import { AT, FIRST_VF_ID, frameOf, IxgbeStage, RAM, type StageVf } from './testing/ixgbe-stage.js';
import { checksumOf, ipv4Frame, ipv6Frame, tagged } from './testing/packets.js';

/** Words of descriptors: 82599 datasheet §7.2.3.2. */
const DATA = 0x2030_0000;
const EOP = 0x0100_0000;
const IFCS = 0x0200_0000;
const RS = 0x0800_0000;
const VLE = 0x4000_0000;
const TSE = 0x8000_0000;
const IXSM = 0x100;
const TXSM = 0x200;
const CONTEXT = 0x2020_0000;
const TCP4 = 0xc00;
const UDP4 = 0x400;
const SCTP4 = 0x1400;
const TCP6 = 0x800;

class Sender {
  readonly stage = new IxgbeStage();
  readonly vf: StageVf;
  private tail = 0;

  constructor() {
    this.stage.enable(1);
    this.stage.openPools();
    this.vf = this.stage.vfs[0]!;
    this.vf.openTx();
  }

  get port() {
    return this.stage.ports[1]!;
  }

  descriptor(...words: [number, number, number, number]): this {
    this.vf.putWords(AT.tx + (this.tail % 16) * 16, ...words);
    this.tail = (this.tail + 1) % 16;
    return this;
  }

  /** MACLEN 14, IPLEN as given. */
  context(type: number, ipBytes = 20, tag = 0, mssAndLength = 0, index = 0): this {
    const lens = (tag * 2 ** 16 + (14 << 9) + ipBytes) >>> 0;
    return this.descriptor(lens, 0, CONTEXT | type, (mssAndLength | (index << 4)) >>> 0);
  }

  /** One descriptor with a whole frame; PAYLEN is the frame's length unless given. */
  data(frame: Uint8Array, command = 0, options = 0, payload: number = frame.length): this {
    this.vf.put(AT.frames, frame);
    const word = (DATA | EOP | IFCS | RS | command | frame.length) >>> 0;
    return this.descriptor(AT.frames, 0x10, word, ((payload << 14) | options) >>> 0);
  }

  go(): number {
    this.vf.write(vfTxAt(0, TX_QUEUE.TDT), this.tail);
    return this.stage.step();
  }

  bytes(): Uint8Array[] {
    return this.port.sent.map(({ bytes }) => bytes);
  }

  get head(): number {
    return this.vf.read(vfTxAt(0, TX_QUEUE.TDH));
  }
}

test('82599 datasheet §7.2.3.2.4: a frame over several descriptors leaves whole, and those with RS say DD', () => {
  const sender = new Sender();
  const frame = frameOf(200, 5);
  sender.vf.put(AT.frames, frame);
  sender
    .descriptor(AT.frames, 0x10, DATA | IFCS | 50, 200 << 14)
    .descriptor(AT.frames + 50, 0x10, DATA | RS | 100, 0)
    .descriptor(AT.frames + 150, 0x10, DATA | EOP | RS | 50, 0);
  sender.go();
  expect(sender.bytes()).toEqual([frame]);
  expect([0, 1, 2].map((i) => sender.vf.words(AT.tx + 16 * i, 4)[3])).toEqual([200 << 14, 1, 1]);
  expect(sender.head).toBe(3);
});

test('a packet whose end is not there yet waits for it, and leaves once', () => {
  const sender = new Sender();
  const frame = frameOf(120, 2);
  sender.vf.put(AT.frames, frame);
  sender.descriptor(AT.frames, 0x10, DATA | 60, 120 << 14);
  expect([sender.go(), sender.stage.step(), sender.head]).toEqual([0, 0, 0]);
  sender.descriptor(AT.frames + 60, 0x10, DATA | EOP | 60, 0);
  expect(sender.go()).toBe(1);
  expect([sender.bytes(), sender.head]).toEqual([[frame], 2]);
});

test('82599 datasheet §7.2.3.2.2: legacy descriptors send, insert a checksum and a tag, and may be empty', () => {
  const sender = new Sender();
  const frame = ipv4Frame({ protocol: 17, checksums: 'open' });
  frame.set(ipv4Frame({ protocol: 17 }).slice(24, 26), 24);
  sender.vf.put(AT.frames, frame);
  // CSO 40 (UDP checksum), CSS 34; VLE with tag 0x2005; the second one has no bytes.
  sender
    .descriptor(AT.frames, 0x10, 20, 0)
    .descriptor(0, 0, 0, 0)
    .descriptor(
      AT.frames + 20,
      0x10,
      (0x4d00_0000 | (40 << 16) | (frame.length - 20)) >>> 0,
      (0x2005 << 16) | (34 << 8),
    );
  sender.go();
  expect(sender.bytes()).toEqual([pad(tagged(ipv4Frame({ protocol: 17 }), 0x2005))]);
  expect(sender.vf.words(AT.tx + 32, 4)[3]! & 0xff).toBe(1);
});

test.each([
  ['TCP of IPv4', ipv4Frame, { protocol: 6 }, TCP4, 20, IXSM | TXSM],
  ['UDP of IPv4', ipv4Frame, { protocol: 17 }, UDP4, 20, IXSM | TXSM],
  ['TCP of IPv6', ipv6Frame, { protocol: 6 }, TCP6, 40, TXSM],
  ['UDP of IPv6', ipv6Frame, { protocol: 17 }, 0, 40, TXSM],
] as const)(
  '82599 datasheet §7.2.5: checksums of %s are inserted, with a tag and without',
  (_, make, options, type, ipBytes, asked) => {
    const sender = new Sender();
    const open = make({ ...options, checksums: 'open' });
    const right = pad(make(options));
    sender.context(type, ipBytes).data(open, 0, asked).go();
    sender
      .context(type, ipBytes, 0x3064, 0, 1)
      .data(open, VLE, asked | 0x10)
      .go();
    expect(sender.bytes()).toEqual([right, pad(tagged(make(options), 0x3064))]);
    expect(sender.head).toBe(4);
  },
);

test('82599 datasheet §7.2.5.3: the checksum of SCTP is a CRC32c', () => {
  const sender = new Sender();
  const frame = ipv4Frame({ protocol: 132, payload: Array.from({ length: 32 }, (_, i) => i) });
  sender.context(SCTP4).data(frame, 0, TXSM).go();
  const sent = sender.bytes()[0]!;
  const whole = frame.slice(34);
  // Bit by bit, as RFC 9260 appendix A defines it.
  let crc = 0xffff_ffff;
  for (const byte of whole) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0);
  }
  const sum = ~crc >>> 0;
  const expected = frame.slice();
  for (let i = 0; i < 4; i++) expected[42 + i] = (sum >>> (8 * i)) & 0xff;
  expect(sent).toEqual(expected);
});

test('a receiver that takes open checksums gets the frame as it is, and is told', () => {
  const sender = new Sender();
  sender.port.offloads = OFFLOAD.CSUM;
  const open = ipv6Frame({ checksums: 'open', payload: new Array<number>(40).fill(3) });
  sender.context(TCP6, 40).data(open, 0, TXSM).go();
  expect(sender.port.sent).toEqual([{ bytes: open, pair: 0, flags: 1, gsoType: 0 }]);
});

describe('82599 datasheet §7.2.4: segmentation', () => {
  const payload = Array.from({ length: 250 }, (_, i) => (i * 5) & 0xff);

  test('a large packet leaves as segments that each are a packet with lengths, numbers, flags and sums of their own', () => {
    const sender = new Sender();
    const frame = ipv4Frame({ payload, checksums: 'segments', flags: 0x19 });
    // L4LEN 20, MSS 100; PAYLEN without headers.
    sender
      .context(TCP4, 20, 0, (100 << 16) | (20 << 8))
      .data(frame, TSE, IXSM | TXSM, 250)
      .go();
    const sent = sender.bytes();
    expect(sent.map(({ length }) => length)).toEqual([154, 154, 104]);
    for (const [i, bytes] of sent.entries()) {
      const at = [...bytes];
      const length = bytes.length - 34;
      expect(at.slice(16, 18)).toEqual([0, 20 + length]);
      expect(checksumOf(at.slice(14, 34))).toBe(0);
      expect(checksumOf([...at.slice(26, 34), 0, 6, 0, length, ...at.slice(34)])).toBe(0);
      expect(at.slice(38, 42)).toEqual([0, 0, 0, 1 + 100 * i]);
      // PSH and FIN in the last one alone.
      expect(at[47]).toBe(i === 2 ? 0x19 : 0x10);
      expect(at.slice(54)).toEqual(payload.slice(100 * i, 100 * i + 100));
    }
    expect([sender.vf.read(VF_REG.VFGPTC), sender.vf.read(VF_REG.VFGOTC_LSB)]).toEqual([3, 154 + 154 + 104 + 12]);
    expect(sender.head).toBe(2);
  });

  test('UDP of IPv6 with a tag, cut into datagrams', () => {
    const sender = new Sender();
    const frame = ipv6Frame({ protocol: 17, payload, checksums: 'segments' });
    sender
      .context(0, 40, 0x0007, (125 << 16) | (8 << 8))
      .data(frame, TSE | VLE, TXSM, 250)
      .go();
    const sent = sender.bytes();
    expect(sent).toEqual([
      tagged(ipv6Frame({ protocol: 17, payload: payload.slice(0, 125) }), 7),
      tagged(ipv6Frame({ protocol: 17, payload: payload.slice(125) }), 7),
    ]);
  });

  test('a receiver that takes segments whole gets one frame, with lengths and the pseudo header’s sum in it', () => {
    const sender = new Sender();
    sender.port.offloads = OFFLOAD.CSUM | OFFLOAD.TSO4;
    const frame = ipv4Frame({ payload, checksums: 'segments' });
    sender
      .context(TCP4, 20, 0, (100 << 16) | (20 << 8))
      .data(frame, TSE, IXSM | TXSM, 250)
      .go();
    const expected = ipv4Frame({ payload, checksums: 'open' });
    expected.set(ipv4Frame({ payload }).slice(24, 26), 24);
    expect(sender.port.sent).toEqual([{ bytes: expected, pair: 0, flags: 1, gsoType: 1 }]);
  });
});

test('82599 datasheet §7.2.3.5.2: the head is written back in place of DD', () => {
  const sender = new Sender();
  sender.vf.write(vfTxAt(0, TX_QUEUE.TDWBAL), (RAM % 2 ** 32) + 0x3000 + 1);
  sender.vf.write(vfTxAt(0, TX_QUEUE.TDWBAH), 0x10);
  sender.vf.putWords(0x3000, 0xffff_ffff);
  sender.data(frameOf(60)).data(frameOf(60)).data(frameOf(60)).go();
  expect(sender.vf.words(0x3000, 2)).toEqual([3, 0]);
  expect(sender.vf.words(AT.tx, 4)[3]).toBe(60 << 14);
});

test('TX-29: a short frame is made 60 bytes long with zeros, unless HLREG0 says no', () => {
  const sender = new Sender();
  sender.data(frameOf(20)).go();
  sender.stage.pf.write(0x4240, 3);
  sender.data(frameOf(21)).go();
  expect(sender.bytes()).toEqual([pad(frameOf(20)), frameOf(21)]);
});

test('PFVMVIR: tags of descriptors are put in only where it leaves them to descriptors', () => {
  const sender = new Sender();
  const frame = frameOf(60);
  sender.context(0, 0, 5).data(frame, VLE).go();
  sender.stage.pf.write(0x8000, 0x4000_0064);
  sender.data(frame, VLE).go();
  expect(sender.bytes()).toEqual([tagged(frame, 5), frame]);
  expect(sender.stage.step()).toBe(0);
  expect(sender.port.settings.portVlan).toEqual({ id: 100, priority: 0, protocol: 0x8100 });
});

test('a switch without room keeps the packet in the ring, is asked again, and it leaves once', () => {
  const sender = new Sender();
  sender.port.answer = DELIVERED.FULL;
  sender.stage.now = 1000;
  sender.data(frameOf(60, 1)).data(frameOf(60, 1), VLE);
  sender.vf.write(vfTxAt(0, TX_QUEUE.TDT), 1);
  expect([sender.stage.step(), sender.head, sender.stage.nic.deadline()]).toEqual([0, 0, 1050]);
  // A pool that may not send has nothing to ask again for, nor has a function that may not master the bus.
  sender.stage.pf.write(rowAt(PF_ROW.PFVFTE, 0), 0);
  expect(sender.stage.nic.deadline()).toBe(Number.POSITIVE_INFINITY);
  sender.stage.pf.write(rowAt(PF_ROW.PFVFTE, 0), 1);
  sender.stage.machine.configWrite(FIRST_VF_ID, 4, 2, 0);
  expect(sender.stage.nic.deadline()).toBe(Number.POSITIVE_INFINITY);
  sender.stage.machine.configWrite(FIRST_VF_ID, 4, 2, 4);
  sender.port.answer = DELIVERED.ACCEPTED;
  expect([sender.stage.step(), sender.head, sender.bytes().length]).toEqual([1, 1, 1]);
  expect(sender.stage.nic.deadline()).toBe(Number.POSITIVE_INFINITY);
});

test('a switch that says when it has room again is asked then, and sooner when it says so meanwhile', () => {
  const sender = new Sender();
  sender.port.answer = DELIVERED.FULL;
  sender.port.roomAt = 1002;
  sender.stage.now = 1000;
  sender.data(frameOf(60, 1)).data(frameOf(60, 1), VLE);
  sender.vf.write(vfTxAt(0, TX_QUEUE.TDT), 2);
  expect([sender.stage.step(), sender.stage.nic.deadline()]).toEqual([0, 1002]);
  sender.port.roomAt = 1001;
  expect(sender.stage.nic.deadline()).toBe(1001);
  // It has a frame no more: what the port says is not for it.
  sender.port.answer = DELIVERED.ACCEPTED;
  sender.stage.step();
  expect(sender.stage.nic.deadline()).toBe(Number.POSITIVE_INFINITY);
});

test('a step sends no more packets than its budget, contexts counted', () => {
  const sender = new Sender();
  for (let i = 0; i < 6; i++) sender.context(0).data(frameOf(60, i));
  sender.vf.write(vfTxAt(0, TX_QUEUE.TDT), 12);
  expect([sender.stage.step(4), sender.bytes().length]).toEqual([4, 2]);
  expect([sender.stage.step(100), sender.bytes().length]).toEqual([8, 6]);
});

test('the ring goes round', () => {
  const sender = new Sender();
  for (let round = 0; round < 50; round++) sender.data(frameOf(64, round)).go();
  expect(sender.bytes()).toEqual(Array.from({ length: 50 }, (_, i) => frameOf(64, i)));
  expect(sender.head).toBe(50 % 16);
});

function pad(frame: Uint8Array): Uint8Array {
  if (frame.length >= 60) return frame;
  const padded = new Uint8Array(60);
  padded.set(frame);
  return padded;
}
