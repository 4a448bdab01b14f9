import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { Frame } from '@ringwire/net-backend';
import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ANY_VLAN, CLASSIFIED, PoolClassifier } from './pool-classifier.js';

const memory = HostMemory.create(0x1_0000);
const A = Uint8Array.of(2, 0, 0, 0, 0, 1);
const B = Uint8Array.of(2, 0, 0, 0, 0, 2);
const GROUP = Uint8Array.of(0x01, 0, 0x5e, 0, 0, 9);

/** @param cut where the frame is cut into two ranges */
function frameOf(bytes: Uint8Array, cut = bytes.length): Frame {
  memory.u8.set(bytes.subarray(0, cut), 0x100);
  memory.u8.set(bytes.subarray(cut), 0x8000);
  const frame = new Frame(memory);
  frame.ranges = new RangeList(2);
  frame.ranges.push(0x100, cut);
  frame.ranges.push(0x8000, bytes.length - cut);
  frame.end = 2;
  frame.length = bytes.length;
  return frame;
}

/** Ethernet and what is behind it. */
function ethernet(to: Uint8Array, ...rest: number[]): Uint8Array {
  const bytes = new Uint8Array(80);
  bytes.set(to);
  bytes.set([2, 0, 0, 0, 0xff, 0xff], 6);
  bytes.set(rest, 12);
  return bytes;
}
const tagged = (to: Uint8Array, vlan: number, ...rest: number[]): Uint8Array =>
  ethernet(to, 0x81, 0x00, 0xe0 | (vlan >> 8), vlan & 0xff, ...rest);

/** IPv4 with TCP (6) or UDP (17). */
function ipv4(protocol: number, from: string, sourcePort: number, to: string, destinationPort: number): number[] {
  const address = (text: string): number[] => text.split('.').map(Number);
  const ports = [sourcePort >> 8, sourcePort & 0xff, destinationPort >> 8, destinationPort & 0xff];
  const header = [0x45, 0, 0, 60, 0, 0, 0, 0, 64, protocol, 0, 0, ...address(from), ...address(to)];
  return [0x08, 0x00, ...header, ...ports, 0, 0, 0, 0, 0, 0, 0, 0, 0x50];
}

const chosen = (classifier: PoolClassifier): number[] => [...classifier.pools.subarray(0, classifier.count)];

test('F74: a pool is chosen by address and VLAN; without a rule the default one, or none', () => {
  const classifier = new PoolClassifier({ pools: 4, defaultPool: 3 });
  classifier.addStation(A, 0, 100);
  classifier.addStation(A, 1, 200);
  classifier.addStation(B, 2);
  const rows = [
    [tagged(A, 100, 8, 6), CLASSIFIED.ADDRESS, 0],
    [tagged(A, 200, 8, 6), CLASSIFIED.ADDRESS, 1],
    [tagged(A, 300, 8, 6), CLASSIFIED.DEFAULT, 3],
    [ethernet(A, 8, 6), CLASSIFIED.DEFAULT, 3],
    [ethernet(B, 8, 6), CLASSIFIED.ADDRESS, 2],
    [tagged(B, 5, 8, 6), CLASSIFIED.ADDRESS, 2],
  ] as const;
  for (const [bytes, outcome, pool] of rows)
    expect([classifier.classify(frameOf(bytes)), ...chosen(classifier)]).toEqual([outcome, pool]);
  expect([...classifier.counters]).toEqual([0, 0, 4, 0, 2, 0]);
  const strict = new PoolClassifier({ pools: 1 });
  expect([strict.classify(frameOf(ethernet(A, 8, 6))), strict.count]).toEqual([CLASSIFIED.NOBODY, 0]);
});

test('a group’s address belongs to every pool that has it, once each, in the order of the rules', () => {
  const classifier = new PoolClassifier({ pools: 3 });
  classifier.addStation(GROUP, 2);
  classifier.addStation(GROUP, 0, 7);
  classifier.addStation(GROUP, 2, 7);
  expect([classifier.classify(frameOf(tagged(GROUP, 7, 8, 6))), ...chosen(classifier)]).toEqual([
    CLASSIFIED.GROUP,
    2,
    0,
  ]);
  expect([classifier.classify(frameOf(ethernet(GROUP, 8, 6))), ...chosen(classifier)]).toEqual([CLASSIFIED.GROUP, 2]);
});

test('EtherType goes before flow, flow before address; each names its queue', () => {
  const classifier = new PoolClassifier({ pools: 3, queues: 4 });
  classifier.addStation(A, 0);
  classifier.addEtherType(0x88f7, 2, 3);
  classifier.addFlow({ protocol: 6, destinationPort: 179 }, 1, 2);
  classifier.addFlow({ source: Uint8Array.of(10, 0, 0, 9) }, 2, 1);
  const rows = [
    [ethernet(A, 0x88, 0xf7), CLASSIFIED.ETHER_TYPE, 2, 3],
    [tagged(A, 9, 0x88, 0xf7), CLASSIFIED.ETHER_TYPE, 2, 3],
    [ethernet(A, ...ipv4(6, '10.0.0.1', 5000, '10.0.0.2', 179)), CLASSIFIED.FLOW, 1, 2],
    [tagged(A, 9, ...ipv4(6, '10.0.0.9', 5000, '10.0.0.2', 179)), CLASSIFIED.FLOW, 1, 2],
    [ethernet(A, ...ipv4(17, '10.0.0.9', 5000, '10.0.0.2', 179)), CLASSIFIED.FLOW, 2, 1],
  ] as const;
  for (const [bytes, outcome, pool, queue] of rows)
    expect([classifier.classify(frameOf(bytes)), ...chosen(classifier), classifier.queue]).toEqual([
      outcome,
      pool,
      queue,
    ]);
  expect(classifier.classify(frameOf(ethernet(A, ...ipv4(17, '10.0.0.1', 5000, '10.0.0.2', 179))))).toBe(
    CLASSIFIED.ADDRESS,
  );
});

test('a fragment has no ports: no rule that names one matches it', () => {
  const classifier = new PoolClassifier({ pools: 2 });
  classifier.addStation(A, 0);
  classifier.addFlow({ protocol: 17, destinationPort: 53 }, 1);
  const bytes = ethernet(A, ...ipv4(17, '10.0.0.1', 53, '10.0.0.2', 53));
  expect(classifier.classify(frameOf(bytes))).toBe(CLASSIFIED.FLOW);
  // More Fragments.
  bytes[20] = 0x20;
  expect(classifier.classify(frameOf(bytes))).toBe(CLASSIFIED.ADDRESS);
});

test('RSS inside a pool: queues of Microsoft’s published vectors, by the low 7 bits of their hashes', () => {
  const classifier = new PoolClassifier({ pools: 1, queues: 4 });
  classifier.addStation(A, 0);
  // Hashes 51ccc178, c626b0ea, 5c2b394a, afc7327f, 10e828a2: the table's entry modulo 4.
  const rows = [
    ['66.9.149.187', 2794, '161.142.100.80', 1766, 0x78],
    ['199.92.111.2', 14230, '65.69.140.83', 4739, 0x6a],
    ['24.19.198.95', 12898, '12.22.207.184', 38024, 0x4a],
    ['38.27.205.30', 48228, '209.142.163.6', 2217, 0x7f],
    ['153.39.163.191', 44251, '202.188.127.2', 1303, 0x22],
  ] as const;
  for (const [from, source, to, destination, entry] of rows) {
    classifier.classify(frameOf(ethernet(A, ...ipv4(6, from, source, to, destination))));
    expect(classifier.queue).toBe(entry % 4);
  }
  classifier.setRssTable([3]);
  classifier.classify(frameOf(ethernet(A, ...ipv4(6, '66.9.149.187', 2794, '161.142.100.80', 1766))));
  expect(classifier.queue).toBe(3);
});

test('however a frame is cut into ranges, and whatever its bytes are, it is classified as in one piece, and nothing is thrown', () => {
  const classifier = new PoolClassifier({ pools: 3, queues: 4, defaultPool: 2 });
  classifier.addStation(A, 0);
  classifier.addStation(B, 1, 5);
  classifier.addEtherType(0x88f7, 1);
  classifier.addFlow({ protocol: 17 }, 1, 1);
  const head = fc.constantFrom(A, B, GROUP, Uint8Array.of(2));
  const type = fc.constantFrom([0x08, 0], [0x86, 0xdd], [0x81, 0], [0x88, 0xf7]);
  fc.assert(
    fc.property(head, type, fc.uint8Array({ maxLength: 100 }), fc.nat(120), (to, [high, low], rest, at) => {
      const bytes = Uint8Array.of(...to, 2, 0, 0, 0, 0, 9, high!, low!, ...rest);
      const whole = [
        classifier.classify(frameOf(bytes)),
        classifier.queue,
        classifier.headerBytes,
        ...chosen(classifier),
      ];
      const cut = Math.min(at, bytes.length);
      const pieces = classifier.classify(frameOf(bytes, cut));
      expect([pieces, classifier.queue, classifier.headerBytes, ...chosen(classifier)]).toEqual(whole);
      expect(classifier.headerBytes).toBeLessThanOrEqual(bytes.length);
      expect(classifier.count <= 3 && classifier.queue < 4).toBe(true);
    }),
  );
});

test('rules that cannot be are their caller’s mistakes', () => {
  const classifier = new PoolClassifier({ pools: 2, queues: 2 });
  for (const mistake of [
    () => new PoolClassifier({ pools: 0 }),
    () => new PoolClassifier({ pools: 2, queues: 3 }),
    () => new PoolClassifier({ pools: 2, defaultPool: 2 }),
    () => classifier.addStation(A, 2),
    () => classifier.addStation(A.subarray(1), 0),
    () => classifier.addStation(A, 0, 4096),
    () => classifier.addEtherType(0x5ff, 0),
    () => classifier.addEtherType(0x88f7, 0, 2),
    () => classifier.addFlow({}, -1),
    () => classifier.setRssTable([0, 1, 0]),
    () => classifier.setRssTable([2]),
  ])
    expect(mistake).toThrow(VirtioError);
  expect(ANY_VLAN).toBe(-1);
});
