import { DELIVERED } from '@ringwire/net-backend';
import { PF_REG, PF_ROW, RX_QUEUE, RXDCTL, rowAt, SRRCTL, VF_REG, vfRxAt } from '@ringwire/nic-spec/ixgbe';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AT, frameOf, IxgbeStage, RAM, type StageVf } from './testing/ixgbe-stage.js';
import { ipv4Frame, ipv6Frame, tagged } from './testing/packets.js';

const IPV4 = 0x10;
const IPV6 = 0x40;
const TCP = 0x100;
const UDP = 0x200;
const SCTP = 0x400;
const DD_EOP = 0x3;
const UDPCS = 0x10;
const L4CS = 0x20;
const IPCS = 0x40;
const IPE = 0x8000_0000;
const L4E = 0x4000_0000;

class Receiver {
  readonly stage = new IxgbeStage();
  readonly vf: StageVf;
  private index = 0;

  constructor(queues: 2 | 4 | 8 = 2) {
    this.stage.enable(1);
    this.stage.openPools(queues);
    this.vf = this.stage.vfs[0]!;
    this.vf.openRx();
    this.vf.post([0, 1, 2, 3, 4, 5, 6].map((i) => RAM + AT.buffers + i * 0x800));
  }

  /** The write-back of the next descriptor, after a frame. */
  receive(frame: Uint8Array): number[] {
    expect(this.stage.ports[1]!.bring(frame, 21)).toBe(DELIVERED.ACCEPTED);
    return this.vf.words(AT.rx + 16 * this.index++, 4);
  }
}

describe('82599 datasheet §7.1.6.2, §7.1.11: the write-back says what a frame is, and which checksums are good', () => {
  test.each([
    ['TCP of IPv4', ipv4Frame(), IPV4 | TCP, IPCS | L4CS],
    ['UDP of IPv4', ipv4Frame({ protocol: 17 }), IPV4 | UDP, IPCS | L4CS | UDPCS],
    ['SCTP of IPv4', ipv4Frame({ protocol: 132 }), IPV4 | SCTP, IPCS],
    ['TCP of IPv6', ipv6Frame(), IPV6 | TCP, L4CS],
    ['UDP of IPv6', ipv6Frame({ protocol: 17 }), IPV6 | UDP, L4CS | UDPCS],
    ['both sums wrong', ipv4Frame({ checksums: 'wrong' }), IPV4 | TCP, (IPCS | L4CS | IPE | L4E) >>> 0],
    ['a wrong sum of UDP', ipv6Frame({ protocol: 17, checksums: 'wrong' }), IPV6 | UDP, L4CS | UDPCS | L4E],
    ['behind a tag', tagged(ipv4Frame(), 7), IPV4 | TCP, IPCS | L4CS],
    ['no IP', frameOf(60), 0, 0],
  ])('%s', (_, frame, types, status) => {
    const words = new Receiver().receive(frame);
    expect([words[0], words[2], words[3]]).toEqual([types, (status | DD_EOP) >>> 0, frame.length]);
  });

  test('a legacy descriptor has the same bits in bytes', () => {
    const receiver = new Receiver();
    receiver.vf.write(vfRxAt(0, RX_QUEUE.SRRCTL), 2);
    // status DD EOP L4CS IPCS, errors L4E IPE
    expect(receiver.receive(ipv4Frame({ checksums: 'wrong' }))[3]).toBe(0xc063);
  });

  test('without RXCSUM.PCSD the second word has the identification of IPv4', () => {
    expect(new Receiver().receive(ipv4Frame())[1]).toBe(9);
  });
});

/** Of the hash's authors: addresses and ports, and what comes out for a well-known key. */
const KEY = [
  0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b,
  0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac,
  0x01, 0xfa,
];
const KNOWN = { source: [66, 9, 149, 187], destination: [161, 142, 100, 80], from: 2794, to: 1766 };

describe('82599 datasheet §7.1.2.8: RSS in a pool', () => {
  function spread(queues: 4 | 8, mrqc: number): Receiver {
    const receiver = new Receiver(queues);
    const { pf } = receiver.stage;
    pf.write(PF_REG.RXCSUM, 0x2000);
    for (let i = 0; i < 10; i++)
      pf.write(
        rowAt(PF_ROW.RSSRK, i),
        KEY.slice(4 * i, 4 * i + 4).reduceRight((word, byte) => word * 256 + byte, 0),
      );
    // Entry i is i & 15.
    for (let i = 0; i < 32; i++)
      pf.write(
        rowAt(PF_ROW.RETA, i),
        [0, 1, 2, 3].reduceRight((w, n) => w * 256 + ((4 * i + n) & 15), 0),
      );
    pf.write(PF_REG.MRQC, mrqc);
    return receiver;
  }

  test('hashes and their types are those of the hash’s verification suite', () => {
    const receiver = spread(4, 0x0063_000a | 0x0090_0000);
    expect(receiver.receive(ipv4Frame(KNOWN)).slice(0, 2)).toEqual([IPV4 | TCP | 1, 0x51cc_c178]);
    expect(receiver.receive(ipv4Frame({ ...KNOWN, protocol: 132 })).slice(0, 2)).toEqual([
      IPV4 | SCTP | 2,
      0x323e_8fc2,
    ]);
    expect(receiver.receive(ipv4Frame({ ...KNOWN, protocol: 17 })).slice(0, 2)).toEqual([IPV4 | UDP | 7, 0x51cc_c178]);
  });

  test('VFPSRTYPE.RQPL says over how many of its queues; the table says which', () => {
    const receiver = spread(4, 0x0001_000a);
    const { vf, stage } = receiver;
    for (const queue of [1, 2, 3]) {
      vf.openRx(queue, undefined, 0, 0x400 * queue);
      vf.post([RAM + AT.frames + 0x800 * queue], 0, queue, 0x400 * queue);
    }
    // 0x51ccc178 & 127 is 0x78; entry 0x78 is 8; 8 & 3 is 0.
    stage.ports[1]!.bring(ipv4Frame(KNOWN));
    expect(vf.read(vfRxAt(0, RX_QUEUE.RDH))).toBe(1);
    stage.pf.write(rowAt(PF_ROW.RETA, 0x78 >> 2), 0x0303_0303);
    stage.ports[1]!.bring(ipv4Frame(KNOWN));
    // One queue alone, as RQPL is 0.
    expect(vf.read(vfRxAt(0, RX_QUEUE.RDH))).toBe(2);
    vf.write(VF_REG.VFPSRTYPE, 2 << 29);
    stage.ports[1]!.bring(ipv4Frame(KNOWN));
    expect([0, 1, 2, 3].map((queue) => vf.read(vfRxAt(queue, RX_QUEUE.RDH)))).toEqual([2, 0, 0, 1]);
    vf.write(VF_REG.VFPSRTYPE, 1 << 29);
    stage.ports[1]!.bring(ipv4Frame(KNOWN));
    expect([0, 1, 2, 3].map((queue) => vf.read(vfRxAt(queue, RX_QUEUE.RDH)))).toEqual([2, 1, 0, 1]);
  });
});

describe('filters of the physical function choose queues of the pool', () => {
  function withQueue1(): Receiver {
    const receiver = new Receiver();
    receiver.vf.openRx(1, undefined, 0, 0x400);
    receiver.vf.post(
      [0, 1, 2].map((i) => RAM + AT.frames + 0x800 * i),
      0,
      1,
      0x400,
    );
    return receiver;
  }
  const heads = ({ vf }: Receiver): number[] => [0, 1].map((queue) => vf.read(vfRxAt(queue, RX_QUEUE.RDH)));

  test('82599 datasheet §7.1.2.3: by EtherType, which is in the packet type then', () => {
    const receiver = withQueue1();
    const { pf } = receiver.stage;
    pf.write(rowAt(PF_ROW.ETQF, 5), (0x8000_0000 | 0x88b5) >>> 0);
    pf.write(rowAt(PF_ROW.ETQS, 5), (0x8000_0000 | (1 << 16)) >>> 0);
    receiver.stage.ports[1]!.bring(frameOf(60));
    expect(heads(receiver)).toEqual([0, 1]);
    expect(receiver.vf.words(0x400, 1)).toEqual([0x8050]);
    // A queue of another pool is none of the function's.
    pf.write(rowAt(PF_ROW.ETQS, 5), (0x8000_0000 | (2 << 16)) >>> 0);
    receiver.stage.ports[1]!.bring(frameOf(60));
    expect(heads(receiver)).toEqual([1, 1]);
  });

  test('82599 datasheet §7.1.2.5: by addresses, ports and protocol; the highest priority counts', () => {
    const receiver = withQueue1();
    const { pf } = receiver.stage;
    const tuple = (i: number, queue: number, filter: number): void => {
      pf.write(rowAt(PF_ROW.SAQF, i), 0x0100_a8c0);
      pf.write(rowAt(PF_ROW.DAQF, i), 0x0200_a8c0);
      // Port 1000 is 0x03e8, port 80 is 0x0050: their first bytes are lowest.
      pf.write(rowAt(PF_ROW.SDPQF, i), 0x5000_e803);
      pf.write(rowAt(PF_ROW.L34TIMIR, i), queue << 21);
      pf.write(rowAt(PF_ROW.FTQF, i), filter);
    };
    tuple(3, 1, 0x8000_0000);
    receiver.stage.ports[1]!.bring(ipv4Frame());
    receiver.stage.ports[1]!.bring(ipv4Frame({ to: 81 }));
    receiver.stage.ports[1]!.bring(ipv4Frame({ source: [192, 168, 0, 3] }));
    receiver.stage.ports[1]!.bring(ipv4Frame({ protocol: 17 }));
    expect(heads(receiver)).toEqual([3, 1]);
    // Of priority 7, and for whatever comes from port 1000.
    tuple(9, 0, 0xb600_001c);
    receiver.stage.ports[1]!.bring(ipv4Frame());
    expect(heads(receiver)).toEqual([4, 1]);
  });
});

describe('82599 datasheet §7.1.10: headers are split off', () => {
  const HEADERS_AT = AT.frames;
  const SPLIT = SRRCTL.DESCTYPE_ADV_SPLIT | (2 << 8) | 2;
  const ALWAYS = SRRCTL.DESCTYPE_ADV_SPLIT_ALWAYS | (2 << 8) | 2;
  const payload = Array.from({ length: 300 }, (_, i) => i & 0xff);

  /** The write-back, the header buffer of 128 bytes and the packet buffer. */
  function receive(srrctl: number, psrtype: number, frame: Uint8Array, rxdctl = 0) {
    const stage = new IxgbeStage();
    stage.enable(1);
    stage.openPools();
    const vf = stage.vfs[0]!;
    vf.write(VF_REG.VFPSRTYPE, psrtype);
    vf.openRx(0, srrctl, rxdctl);
    vf.putWords(AT.rx, AT.buffers, 0x10, HEADERS_AT, 0x10);
    vf.write(vfRxAt(0, RX_QUEUE.RDT), 1);
    expect(stage.ports[1]!.bring(frame, 33)).toBe(DELIVERED.ACCEPTED);
    const [info, , status, length] = vf.words(AT.rx, 4) as [number, number, number, number];
    const bytes = length & 0xffff;
    return {
      split: info >>> 31,
      header: (info >>> 21) & 0x3ff,
      isOverflow: (status & 0x80_0000) !== 0,
      bytes,
      inHeader: vf.get(HEADERS_AT, 128),
      inPacket: vf.get(AT.buffers, bytes),
    };
  }

  test.each([
    ['TCP', 0x10, 54],
    ['IPv4', 0x100, 34],
    ['Ethernet', 0x1000, 14],
  ])('behind %s, as PSRTYPE says', (_, psrtype, header) => {
    const frame = ipv4Frame({ payload });
    const found = receive(SPLIT, psrtype, frame);
    expect(found).toMatchObject({ split: 1, header, isOverflow: false, bytes: frame.length - header });
    expect(found.inHeader).toEqual(
      Uint8Array.of(...frame.slice(0, header), ...new Array<number>(128 - header).fill(0)),
    );
    expect(found.inPacket).toEqual(frame.slice(header));
  });

  test('without the tag that is taken out', () => {
    const frame = ipv6Frame({ protocol: 17, payload });
    const found = receive(SPLIT, 0x20, tagged(frame, 5), RXDCTL.VME);
    expect(found).toMatchObject({ split: 1, header: 62, bytes: 300 });
    expect([...found.inHeader.slice(0, 62), ...found.inPacket]).toEqual([...frame]);
  });

  test('not where there is no such header, or none behind it: then the packet buffer has all', () => {
    const frame = ipv4Frame({ protocol: 17, payload });
    const whole = receive(SPLIT, 0x10, frame);
    expect(whole).toMatchObject({ split: 0, header: 0, bytes: frame.length, inPacket: frame });
    const bare = ipv4Frame({ payload: [] });
    expect(receive(SPLIT, 0x10, bare)).toMatchObject({ split: 0, bytes: bare.length });
  });

  test('a header that is longer than its buffer is not split off, and HBO says so', () => {
    const found = receive(SRRCTL.DESCTYPE_ADV_SPLIT | (1 << 8) | 2, 0x20, ipv6Frame({ protocol: 17, payload: [1] }));
    expect(found).toMatchObject({ split: 1, header: 62, isOverflow: false, bytes: 1 });
    const long = tagged(ipv6Frame({ protocol: 17, payload }), 5);
    expect(receive(SRRCTL.DESCTYPE_ADV_SPLIT | (1 << 8) | 2, 0x20, long)).toMatchObject({
      split: 1,
      header: 66,
      isOverflow: true,
      inPacket: long,
    });
  });

  test('always: a frame without such a header begins in the header buffer', () => {
    const frame = frameOf(200);
    const found = receive(ALWAYS, 0x10, frame);
    expect(found).toMatchObject({ split: 0, header: 128, bytes: 72, inHeader: frame.slice(0, 128) });
    expect(found.inPacket).toEqual(frame.slice(128));
    expect(receive(ALWAYS, 0x10, frameOf(100))).toMatchObject({ header: 100, bytes: 0 });
  });
});

test('RX-17, SR-29: random frames in random pieces through random buffers are put together exactly, and nothing else is written', () => {
  const stage = new IxgbeStage();
  stage.enable(1);
  stage.openPools();
  stage.pf.write(PF_REG.HLREG0, 0x407);
  stage.pf.write(PF_REG.MAXFRS, 9018 * 2 ** 16);
  const vf = stage.vfs[0]!;
  const frames = fc.array(
    fc.record({
      length: fc.integer({ min: 18, max: 6000 }),
      piece: fc.integer({ min: 1, max: 3000 }),
      tag: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(frames, fc.integer({ min: 1, max: 3 }), fc.boolean(), fc.boolean(), (list, kib, strips, isLegacy) => {
      vf.write(vfRxAt(0, RX_QUEUE.RXDCTL), 0);
      const type = isLegacy ? SRRCTL.DESCTYPE_LEGACY : SRRCTL.DESCTYPE_ADV_ONE_BUFFER;
      vf.openRx(0, type | kib, strips ? RXDCTL.VME : 0, AT.rx, 256);
      const buffer = (i: number): number => AT.buffers + i * 0x1000;
      vf.put(AT.buffers, new Uint8Array(0xf000).fill(0xee));
      vf.post(
        Array.from({ length: 15 }, (_, i) => RAM + buffer(i)),
        0,
        0,
        AT.rx,
        16,
      );
      let index = 0;
      for (const [n, { length, piece, tag }] of list.entries()) {
        const plain = frameOf(length, n);
        const frame = tag ? tagged(plain, 0x123) : plain;
        const wanted = tag && strips ? plain : frame;
        const buffers = Math.ceil(wanted.length / (kib * 1024));
        if (index + buffers > 15) break;
        expect(stage.ports[1]!.bring(frame, piece)).toBe(DELIVERED.ACCEPTED);
        const got: number[] = [];
        for (let i = 0; i < buffers; i++, index++) {
          const words = vf.words(AT.rx + 16 * index, 4);
          const bytes = words[isLegacy ? 2 : 3]! & 0xffff;
          const status = words[isLegacy ? 3 : 2]!;
          expect(status & 3).toBe(i === buffers - 1 ? 3 : 1);
          got.push(...vf.get(buffer(index), bytes));
          expect(vf.get(buffer(index) + bytes, 0x1000 - bytes).every((byte) => byte === 0xee)).toBe(true);
        }
        expect(got).toEqual([...wanted]);
      }
      expect(vf.read(vfRxAt(0, RX_QUEUE.RDH))).toBe(index);
    }),
    { numRuns: 60 },
  );
});
