import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { Frame } from '@ringwire/net-backend';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AdminBench, INVALID, le, OK, OP, objectData, objectHeader, SELF } from '../admin/testing/admin-bench.js';
import { FLOW, FlowFilter, type FlowRule } from './flow-filter.js';
import { HeaderReader } from './header-reader.js';
import { NET_DROP } from './net-drop.js';
import { frameOf, hex, join } from './testing/frames.js';
import { tcp4, udp4 } from './testing/packets.js';

const F = VIRTIO_NET_F;
const NO_SPACE = '28.6';
const BUSY = '16.3';
const PAIRS = 4;
/** Types of objects and selectors, actions: by hand, virtio 1.4 §5.1.7, §5.1.9.6.2. */
const GROUP = 0x200;
const CLASSIFIER = 0x201;
const RULE = 0x202;
const TYPE = { ETH: 1, IPV4: 2, IPV6: 3, TCP: 4, UDP: 5, ESP: 6 } as const;
const BYTES = { [TYPE.ETH]: 14, [TYPE.IPV4]: 20, [TYPE.IPV6]: 40, [TYPE.TCP]: 20, [TYPE.UDP]: 8, [TYPE.ESP]: 8 };
const DROP = 1;
const DIRECT = 2;
const CAPS = {
  resource: join(le(0x800, 8), hex('10000000 08000000 40000000 40000000 c8 03 0000')),
  action: join(le(0x802, 8), hex('0200000000000000 0102')),
};

type SelectorType = (typeof TYPE)[keyof typeof TYPE];
interface Selector {
  readonly type: SelectorType;
  /** hex; the rest is zeros */
  readonly mask: string;
  readonly flags?: number;
}
/** Bytes from `at` on, the others zero. */
const field = (at: number, text: string): string => '00'.repeat(at) + text;
const ETHERTYPE = field(12, 'ffff');
const PROTOCOL = field(9, 'ff');

const padded = (text: string, length: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  bytes.set(hex(text));
  return bytes;
};
const selectorBytes = ({ type, mask, flags = 0 }: Selector): Uint8Array =>
  join(Uint8Array.of(type, flags, 0, 0, BYTES[type], 0, 0, 0), padded(mask, BYTES[type]));
const listOf = (selectors: readonly Selector[]): Uint8Array =>
  join(le(selectors.length, 8), ...selectors.map(selectorBytes));
const everySelector = listOf(Object.values(TYPE).map((type) => ({ type, mask: 'ff'.repeat(BYTES[type]), flags: 1 })));

interface RuleText {
  readonly group?: number;
  readonly classifier?: number;
  readonly priority?: number;
  readonly action?: number;
  readonly queue?: number;
  readonly keys?: readonly (readonly [type: SelectorType, key: string])[];
  readonly keyLength?: number;
}
const ruleBytes = (rule: RuleText): Uint8Array => {
  const { group = 0, classifier = 0, priority = 1, action = DROP, queue = 0, keys = [[TYPE.ETH, '']] } = rule;
  const key = join(...keys.map(([type, text]) => padded(text, BYTES[type])));
  const head = [le(group, 4), le(classifier, 4), le(priority, 1), le(rule.keyLength ?? key.length, 1), le(action, 1)];
  return join(...head, le(0, 1), le(queue, 2), le(0, 2), key);
};

class FlowBench extends AdminBench {
  constructor(features: readonly number[] = []) {
    super([F.CTRL_VQ, F.MQ, ...features], { owner: { pairs: PAIRS } });
    this.start([0, 1, 2, 3, 4, 5, 6, 7, 8]).use(SELF);
    for (let pair = 0; pair < PAIRS; pair++) for (let n = 0; n < 8; n++) this.owner.rings.post(pair);
  }

  enable(...without: readonly number[]): this {
    const caps = { 2048: CAPS.resource, 2049: join(le(0x801, 8), everySelector), 2050: CAPS.action };
    for (const [id, data] of Object.entries(caps))
      if (!without.includes(Number(id))) expect(this.run(OP.CAP_SET, SELF, 0, data).outcome).toBe(OK);
    return this;
  }

  make(type: number, id: number, data: Uint8Array, flags = 0): string {
    return this.run(OP.CREATE, SELF, 0, objectData(type, id, data, flags)).outcome;
  }

  destroy(type: number, id: number): string {
    return this.run(OP.DESTROY, SELF, 0, objectHeader(type, id)).outcome;
  }

  /** What a CREATE should do that the test is not about. */
  have(type: number, id: number, data: Uint8Array): void {
    expect(this.make(type, id, data)).toBe(OK);
  }

  /** The pair that a frame came to, -1 for none. */
  arrives(frame: Uint8Array): number {
    this.owner.backend.deliver(frame);
    this.owner.step();
    const pairs = Array.from({ length: PAIRS }, (_, pair) => pair);
    const got = pairs.filter((pair) => this.owner.rings.collect(2 * pair).length > 0);
    expect(got.length).toBeLessThanOrEqual(1);
    for (const pair of got) this.owner.rings.post(pair);
    return got[0] ?? -1;
  }

  dropped(): number {
    return this.owner.device.drops[NET_DROP.RX_FLOW_FILTER]!;
  }
}

const priority = (value: number): Uint8Array => le(value, 2);
const ethOnly = listOf([{ type: TYPE.ETH, mask: field(6, 'ffffffffffff') }]);
/** Frames with the source address that `ethOnly` looks at. */
const SOURCE = '525400aabbcc';
const bySource = (rest: RuleText): Uint8Array => ruleBytes({ keys: [[TYPE.ETH, field(6, SOURCE)]], ...rest });

describe('flow filter objects', () => {
  test('dev.net.flow-filter.2: groups, classifiers and rules are made, queried, modified and destroyed', () => {
    const bench = new FlowBench().enable();
    bench.have(GROUP, 3, priority(7));
    bench.have(CLASSIFIER, 2, ethOnly);
    bench.have(RULE, 1, bySource({ group: 3, classifier: 2 }));
    const query = (type: number, id: number): Uint8Array =>
      bench.run(OP.QUERY, SELF, 0, objectData(type, id, hex(''))).result;
    expect(query(GROUP, 3)).toEqual(padded('0700', 8));
    expect(query(CLASSIFIER, 2).slice(0, ethOnly.length)).toEqual(ethOnly);
    expect(query(RULE, 1).slice(0, 30)).toEqual(bySource({ group: 3, classifier: 2 }));
    const modify = (type: number, id: number, data: Uint8Array): string =>
      bench.run(OP.MODIFY, SELF, 0, objectData(type, id, data)).outcome;
    expect(modify(RULE, 1, bySource({ group: 3, classifier: 2, action: DIRECT, queue: 4 }))).toBe(OK);
    expect(bench.arrives(frameOf(60))).toBe(2);
    // dev.admin.resource-objs.10: a MODIFY that fails changes nothing.
    expect(modify(RULE, 1, bySource({ group: 3, classifier: 2, action: DIRECT, queue: 5 }))).toBe(INVALID.FIELD);
    expect(bench.arrives(frameOf(60))).toBe(2);
    expect([bench.destroy(RULE, 1), bench.destroy(CLASSIFIER, 2), bench.destroy(GROUP, 3)]).toEqual([OK, OK, OK]);
    expect(bench.arrives(frameOf(60))).toBe(0);
  });

  test('dev.net.flow-filter.3: without one of the three capabilities there are no such commands', () => {
    for (const missing of [0x800, 0x801, 0x802]) {
      const bench = new FlowBench().enable(missing);
      for (const opcode of [OP.CREATE, OP.MODIFY, OP.QUERY, OP.DESTROY])
        for (const type of [GROUP, CLASSIFIER, RULE])
          expect(bench.run(opcode, SELF, 0, objectData(type, 0, priority(1))).outcome).toBe(INVALID.OPCODE);
    }
  });

  test('dev.net.flow-filter.4: of two groups with one priority the second is refused', () => {
    const bench = new FlowBench().enable();
    bench.have(GROUP, 0, priority(7));
    expect(bench.make(GROUP, 1, priority(7))).toBe(INVALID.FIELD);
    bench.have(GROUP, 1, priority(8));
    expect(bench.run(OP.MODIFY, SELF, 0, objectData(GROUP, 1, priority(7))).outcome).toBe(INVALID.FIELD);
    expect(bench.run(OP.MODIFY, SELF, 0, objectData(GROUP, 1, priority(8))).outcome).toBe(OK);
  });

  test('dev.net.flow-filter.5: groups up to the lower of groups_limit and rules_per_group_limit', () => {
    const bench = new FlowBench().enable();
    const limits = (groups: string, perGroup: string): Uint8Array =>
      join(le(0x800, 8), hex(`${groups} 08000000 40000000 ${perGroup} c8 03 0000`));
    for (const [groups, perGroup] of [
      ['02000000', '40000000'],
      ['10000000', '02000000'],
    ] as const) {
      expect(bench.run(OP.CAP_SET, SELF, 0, limits(groups, perGroup)).outcome).toBe(OK);
      bench.have(GROUP, 0, priority(0));
      bench.have(GROUP, 1, priority(1));
      expect(bench.make(GROUP, 2, priority(2))).toBe(NO_SPACE);
      bench.destroy(GROUP, 0);
      bench.destroy(GROUP, 1);
    }
  });

  test('dev.net.flow-filter.6: classifiers up to classifiers_limit', () => {
    const bench = new FlowBench().enable();
    for (let id = 0; id < 8; id++) bench.have(CLASSIFIER, id, ethOnly);
    expect(bench.make(CLASSIFIER, 8, ethOnly)).toBe(NO_SPACE);
  });

  test('AD-24 dev.net.flow-filter.7,.8 dev.admin.resource-objs.4: what rules depend on stays', () => {
    const bench = new FlowBench().enable();
    bench.have(GROUP, 0, priority(7));
    bench.have(CLASSIFIER, 0, ethOnly);
    bench.have(RULE, 0, bySource({}));
    expect([bench.destroy(GROUP, 0), bench.destroy(CLASSIFIER, 0)]).toEqual([BUSY, BUSY]);
    expect(bench.run(OP.MODIFY, SELF, 0, objectData(GROUP, 0, priority(9))).outcome).toBe(BUSY);
    expect(bench.run(OP.MODIFY, SELF, 0, objectData(CLASSIFIER, 0, ethOnly)).outcome).toBe(BUSY);
    expect(bench.run(OP.CAP_SET, SELF, 0, CAPS.resource).outcome).toBe(BUSY);
    expect([bench.destroy(RULE, 0), bench.destroy(GROUP, 0), bench.destroy(CLASSIFIER, 0)]).toEqual([OK, OK, OK]);
  });

  test('dev.net.flow-filter.9,.10,.11,.12,.13: rules that cannot be are refused', () => {
    const bench = new FlowBench().enable();
    bench.have(GROUP, 0, priority(7));
    bench.have(CLASSIFIER, 0, ethOnly);
    const refused = (rule: RuleText, id = 0): string => bench.make(RULE, id, bySource(rule));
    // Transmit queues, the control queue, administration queues, none.
    for (const queue of [1, 3, 8, 9, 10, 0xfffe])
      expect(refused({ action: DIRECT, queue }), `${queue}`).toBe(INVALID.FIELD);
    for (const level of [200, 201, 255]) expect(refused({ priority: level })).toBe(INVALID.FIELD);
    for (const id of [64, 65, 0xffff_ffff]) expect(refused({}, id)).toBe(INVALID.FIELD);
    for (const keyLength of [0, 13, 15, 255]) expect(refused({ keyLength })).toBe(INVALID.FIELD);
    for (const action of [0, 3, 4, 255]) expect(refused({ action })).toBe(INVALID.FIELD);
    for (const other of [{ group: 1 }, { classifier: 1 }]) expect(refused(other)).toBe(INVALID.FIELD);
    expect(refused({ priority: 199, action: DIRECT, queue: 6 }, 63)).toBe(OK);
  });

  test('dev.net.flow-filter.11: rule ids below the lower of both limits', () => {
    const bench = new FlowBench().enable();
    const limits = join(le(0x800, 8), hex('10000000 08000000 40000000 03000000 c8 03 0000'));
    expect(bench.run(OP.CAP_SET, SELF, 0, limits).outcome).toBe(OK);
    bench.have(GROUP, 0, priority(7));
    bench.have(CLASSIFIER, 0, ethOnly);
    expect([bench.make(RULE, 3, bySource({})), bench.make(RULE, 2, bySource({}))]).toEqual([INVALID.FIELD, OK]);
  });

  test('dev.net.flow-filter.13: an action that the driver left out is none', () => {
    const bench = new FlowBench().enable(0x802);
    bench.run(OP.CAP_SET, SELF, 0, join(le(0x802, 8), hex('0100000000000000 02')));
    bench.have(GROUP, 0, priority(7));
    bench.have(CLASSIFIER, 0, ethOnly);
    expect(bench.make(RULE, 0, bySource({ action: DROP }))).toBe(INVALID.FIELD);
    expect(bench.make(RULE, 0, bySource({ action: DIRECT, queue: 2 }))).toBe(OK);
  });

  test('dev.net.flow-filter.26: classifiers with PARTIAL_MASK, whatever their masks are', () => {
    const bench = new FlowBench().enable();
    const some = '010000000000';
    for (const [id, mask] of ['ff'.repeat(14), some, field(6, some), '00'.repeat(14)].entries()) {
      expect(bench.make(CLASSIFIER, id, listOf([{ type: TYPE.ETH, mask }]), 1)).toBe(OK);
      expect(bench.make(CLASSIFIER, id + 4, listOf([{ type: TYPE.ETH, mask, flags: 1 }]))).toBe(OK);
      bench.destroy(CLASSIFIER, id + 4);
    }
    // Without it a field counts in whole or not at all; TCP's control bits are fields of their own.
    expect(bench.make(CLASSIFIER, 4, listOf([{ type: TYPE.ETH, mask: some }]))).toBe(INVALID.FIELD);
    const stack = (ip: string, tcp: string): Uint8Array =>
      listOf([
        { type: TYPE.ETH, mask: ETHERTYPE },
        { type: TYPE.IPV4, mask: ip },
        { type: TYPE.TCP, mask: tcp },
      ]);
    expect(bench.make(CLASSIFIER, 4, stack(PROTOCOL, field(13, '02')))).toBe(OK);
    for (const [ip, tcp] of [
      // one bit of the flags, of the version, of a port
      [`00000000 0000 4000 00ff`, ''],
      [`10000000 0000 0000 00ff`, ''],
      [PROTOCOL, '0001'],
    ] as const)
      expect(bench.make(CLASSIFIER, 5, stack(ip, tcp)), ip).toBe(INVALID.FIELD);
  });

  test('classifiers that are no stack of headers are refused, and keys that say another one', () => {
    const bench = new FlowBench().enable();
    const eth = { type: TYPE.ETH, mask: ETHERTYPE };
    const ip = { type: TYPE.IPV4, mask: PROTOCOL };
    const tcp = { type: TYPE.TCP, mask: '' };
    for (const selectors of [
      [],
      [ip],
      [eth, eth],
      [eth, tcp],
      [{ type: TYPE.ETH, mask: '' }, ip],
      [eth, { type: TYPE.IPV4, mask: '' }, tcp],
      [eth, ip, ip],
      [eth, ip, tcp, tcp],
    ] as const)
      expect(bench.make(CLASSIFIER, 0, listOf(selectors))).toBe(INVALID.FIELD);
    for (const bytes of ['ff', '01', '0100000000000000 01', '0100000000000000 0100000000000000', '02 00000000000000'])
      expect(bench.make(CLASSIFIER, 0, hex(bytes)), bytes).toBe(INVALID.FIELD);
    bench.have(GROUP, 0, priority(1));
    bench.have(CLASSIFIER, 0, listOf([eth, ip, tcp]));
    const keys = (type: string, protocol: string): (readonly [SelectorType, string])[] => [
      [TYPE.ETH, field(12, type)],
      [TYPE.IPV4, field(9, protocol)],
      [TYPE.TCP, ''],
    ];
    expect(bench.make(RULE, 0, ruleBytes({ keys: keys('86dd', '06') }))).toBe(INVALID.FIELD);
    expect(bench.make(RULE, 0, ruleBytes({ keys: keys('0800', '11') }))).toBe(INVALID.FIELD);
    expect(bench.make(RULE, 0, ruleBytes({ keys: keys('0800', '06') }))).toBe(OK);
  });
});

describe('flow filter rules at work', () => {
  test('dev.net.flow-filter.15,.20,.21: a rule that matches decides alone', () => {
    const bench = new FlowBench().enable();
    bench.have(GROUP, 0, priority(7));
    bench.have(CLASSIFIER, 0, ethOnly);
    bench.have(RULE, 0, bySource({ priority: 9, action: DIRECT, queue: 6 }));
    bench.have(RULE, 1, bySource({ priority: 8, action: DROP }));
    expect(bench.arrives(frameOf(60))).toBe(3);
    expect(bench.arrives(tcp4())).toBe(3);
    expect(bench.dropped()).toBe(0);
    expect(bench.destroy(RULE, 0)).toBe(OK);
    expect(bench.arrives(frameOf(60))).toBe(-1);
    expect(bench.dropped()).toBe(1);
  });

  test('dev.net.flow-filter.16,.17,.18: groups from the highest priority on, until a rule matches', () => {
    const bench = new FlowBench().enable();
    bench.have(CLASSIFIER, 0, ethOnly);
    // Made in another order than they count in.
    for (const [id, level] of [5, 300, 40].entries()) bench.have(GROUP, id, priority(level));
    const other = { keys: [[TYPE.ETH, field(6, '525400ddeeff')]] } as const;
    bench.have(RULE, 0, bySource({ group: 0, action: DIRECT, queue: 2 }));
    bench.have(RULE, 1, bySource({ group: 2, action: DIRECT, queue: 4 }));
    bench.have(RULE, 2, bySource({ group: 1, action: DIRECT, queue: 6, ...other }));
    expect(bench.arrives(frameOf(60))).toBe(2);
    bench.destroy(RULE, 1);
    expect(bench.arrives(frameOf(60))).toBe(1);
    bench.have(RULE, 1, bySource({ group: 1, priority: 0, action: DIRECT, queue: 4 }));
    expect(bench.arrives(frameOf(60))).toBe(2);
  });

  test('dev.net.flow-filter.19: within a group from the highest priority on', () => {
    const bench = new FlowBench().enable();
    bench.have(CLASSIFIER, 0, ethOnly);
    bench.have(GROUP, 0, priority(1));
    for (const [id, level] of [10, 150, 77].entries())
      bench.have(RULE, id, bySource({ priority: level, action: DIRECT, queue: 2 * (id + 1) }));
    expect(bench.arrives(frameOf(60))).toBe(2);
    bench.destroy(RULE, 1);
    expect(bench.arrives(frameOf(60))).toBe(3);
    bench.destroy(RULE, 2);
    expect(bench.arrives(frameOf(60))).toBe(1);
  });

  test('dev.net.flow-filter.22: of rules with one priority one is applied', () => {
    const bench = new FlowBench().enable();
    bench.have(CLASSIFIER, 0, ethOnly);
    bench.have(GROUP, 0, priority(1));
    for (const id of [0, 1]) bench.have(RULE, id, bySource({ action: DIRECT, queue: 2 * (id + 1) }));
    expect([1, 2]).toContain(bench.arrives(frameOf(60)));
  });

  test('dev.net.flow-filter.14: what a rule directs to a queue that was reset is dropped', () => {
    const bench = new FlowBench([40]).enable();
    bench.have(CLASSIFIER, 0, ethOnly);
    bench.have(GROUP, 0, priority(1));
    bench.have(RULE, 0, bySource({ action: DIRECT, queue: 6 }));
    bench.owner.face.resetQueue(6);
    expect(bench.arrives(frameOf(60))).toBe(-1);
    expect(bench.owner.device.drops[NET_DROP.RX_QUEUE_OFF]).toBe(1);
  });

  test('dev.net.flow-filter.23,.24,.25: behind the filters of the control queue, before RSS', () => {
    const bench = new FlowBench([F.CTRL_RX, F.CTRL_VLAN, F.RSS]).enable();
    bench.have(CLASSIFIER, 0, ethOnly);
    bench.have(GROUP, 0, priority(1));
    bench.have(RULE, 0, bySource({ action: DROP }));
    // Not for this station: the rule has not seen it.
    expect(bench.arrives(frameOf(60, 1, '525400999999'))).toBe(-1);
    expect([bench.dropped(), bench.owner.device.drops[NET_DROP.RX_MAC_FILTER]]).toEqual([0, 1]);
    // RSS: everything to pair 2, but for what a rule directs.
    const rss = `04 01 01000000 0000 0200 0200 0100 28 ${'01'.repeat(40)}`;
    expect(bench.owner.control(hex(rss))).toBe(0);
    expect(bench.arrives(frameOf(60))).toBe(-1);
    expect(bench.dropped()).toBe(1);
    const elsewhere = frameOf(60);
    elsewhere.set(hex('525400ddeeff'), 6);
    expect(bench.arrives(elsewhere)).toBe(2);
    bench.run(OP.MODIFY, SELF, 0, objectData(RULE, 0, bySource({ action: DIRECT, queue: 2 })));
    expect(bench.arrives(frameOf(60))).toBe(1);
    expect(bench.arrives(tcp4())).toBe(1);
  });

  test('headers of IPv4, IPv6, TCP, UDP and ESP, by their fields', () => {
    const bench = new FlowBench().enable();
    bench.have(GROUP, 0, priority(1));
    const eth = { type: TYPE.ETH, mask: ETHERTYPE };
    const rule = (id: number, ip: Selector, ipKey: string, last: Selector, key: string): void => {
      bench.have(CLASSIFIER, id, listOf([eth, ip, last]));
      const type = ip.type === TYPE.IPV4 ? '0800' : '86dd';
      const keys = [
        [TYPE.ETH, field(12, type)],
        [ip.type, ipKey],
        [last.type, key],
      ] as const;
      bench.have(RULE, id, ruleBytes({ classifier: id, action: DIRECT, queue: 2 * (id % 3) + 2, keys }));
    };
    const v4 = { type: TYPE.IPV4, mask: PROTOCOL };
    const v6 = { type: TYPE.IPV6, mask: field(6, 'ff') };
    rule(0, v4, field(9, '06'), { type: TYPE.TCP, mask: '0000ffff' }, '000003e8'); // TCP to port 1000: pair 1
    rule(1, v4, field(9, '11'), { type: TYPE.UDP, mask: 'ffff' }, '0050'); // UDP from port 80: pair 2
    rule(2, v6, field(6, '32'), { type: TYPE.ESP, mask: 'ffffffff' }, '00000007'); // ESP over IPv6, SPI 7: pair 3
    expect([bench.arrives(tcp4()), bench.arrives(udp4())]).toEqual([1, 2]);
    expect(bench.arrives(tcp4({ to: { address: '0a000001', port: 1001 } }))).toBe(0);
    expect(bench.arrives(udp4({ from: { address: '0a000002', port: 81 } }))).toBe(0);
    const esp6 = (spi: string, next = '32', extension = ''): Uint8Array =>
      hex(
        `525400123456 525400aabbcc 86dd 60000000 0020 ${next} 40 ${'fd'.repeat(32)} ${extension} ${spi} ${'00'.repeat(28)}`,
      );
    expect([bench.arrives(esp6('00000007')), bench.arrives(esp6('00000008'))]).toEqual([3, 0]);
    // Behind a hop-by-hop header it is the last header's successor that counts.
    expect(bench.arrives(esp6('00000007', '00', '3200010400000000'))).toBe(3);
    // Cut within the header, or tagged: there is no such header.
    expect(bench.arrives(esp6('00000007').subarray(0, 14 + 40 + 7))).toBe(0);
    expect(bench.arrives(tcp4().subarray(0, 14 + 20 + 19))).toBe(0);
    const tagged = join(tcp4().subarray(0, 12), hex('8100 0001'), tcp4().subarray(12));
    expect(bench.arrives(tagged)).toBe(0);
  });

  test('frames match as a bit by bit comparison of their first 14 bytes says', () => {
    const bench = new FlowBench().enable();
    bench.have(GROUP, 0, priority(1));
    const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
    const text = (value: Uint8Array): string =>
      Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('');
    fc.assert(
      fc.property(bytes(14), bytes(14), fc.array(fc.nat(111), { maxLength: 2 }), (mask, key, flips) => {
        bench.have(CLASSIFIER, 0, listOf([{ type: TYPE.ETH, mask: text(mask), flags: 1 }]));
        bench.have(RULE, 0, ruleBytes({ keys: [[TYPE.ETH, text(key)]], action: DIRECT, queue: 6 }));
        const frame = frameOf(60);
        frame.set(key);
        for (const bit of flips) frame[bit >>> 3]! ^= 1 << (bit & 7);
        const isMatch = mask.every((bits, at) => ((frame[at]! ^ key[at]!) & bits) === 0);
        expect(bench.arrives(frame)).toBe(isMatch ? 3 : 0);
        bench.destroy(RULE, 0);
        bench.destroy(CLASSIFIER, 0);
      }),
      { numRuns: 60 },
    );
  });

  test('a reset ends all rules', () => {
    const bench = new FlowBench().enable();
    bench.have(CLASSIFIER, 0, ethOnly);
    bench.have(GROUP, 0, priority(1));
    bench.have(RULE, 0, bySource({ action: DROP }));
    bench.owner.rings.queues.length = 0;
    bench.start([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    bench.owner.rings.post();
    expect(bench.arrives(frameOf(60))).toBe(0);
  });

  test('a frame that is compared with every rule costs no object', () => {
    const memory = HostMemory.create(0x1_0000);
    const bytes = tcp4();
    memory.u8.set(bytes, 0x100);
    const frame = new Frame(memory);
    frame.ranges = new RangeList(1);
    frame.ranges.push(0x100, bytes.length);
    frame.end = 1;
    frame.length = bytes.length;
    const filter = new FlowFilter();
    const mask = new Uint8Array(14).fill(0xff);
    const rule = (last: number): FlowRule => {
      const key = bytes.slice(0, 14);
      key[13] = last;
      return { selectors: [{ type: TYPE.ETH, mask, key }], verdict: last };
    };
    filter.set(Array.from({ length: 32 }, (_, n) => rule(n + 1)));
    const reader = new HeaderReader();
    const match = (count: number): void => {
      for (let n = 0; n < count; n++) {
        reader.read(frame);
        if (filter.match(frame, reader) !== FLOW.NO_MATCH) throw new Error('a rule matched');
      }
    };
    match(20_000);
    let taken = 0;
    for (let round = 0; round < 10; round++) {
      const before = process.memoryUsage().heapUsed;
      match(20_000);
      taken += Math.max(0, process.memoryUsage().heapUsed - before);
    }
    expect(taken / 200_000).toBeLessThan(4);
    filter.set([rule(0)]);
    reader.read(frame);
    expect(filter.match(frame, reader)).toBe(0);
  });
});
