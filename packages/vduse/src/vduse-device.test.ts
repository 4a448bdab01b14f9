import { ftruncateSync, readdirSync } from 'node:fs';
import { DELIVERED } from '@ringwire/net-backend';
import { NetDevice } from '@ringwire/virtio-device';
import { type DriverQueue, UsedBurst } from '@ringwire/virtqueue';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ScriptedKernel } from './testing/scripted-kernel.js';
import { NAME, PACKED, QUEUE_SIZE, RAM, SPLIT, VduseStage } from './testing/vduse-stage.js';

const HEADER_BYTES = 12;
/** Of frames in the driver's memory, behind the rings. */
const FRAME_AT: number = RAM.iova + 0x1_0000;
const frame = (tag: number): Uint8Array => Uint8Array.from({ length: 60 }, (_, at) => (at < 6 ? 0xff : tag));
/** As a driver sends it: behind a header that asks for nothing. */
const sent = (tag: number): Uint8Array => Uint8Array.of(...new Array(HEADER_BYTES).fill(0), ...frame(tag));

let stage: VduseStage;

beforeEach(() => {
  stage = new VduseStage();
});

afterEach(() => stage.end());

/** Send a frame. @returns how many buffers came back */
function send(tx: DriverQueue, tag: number): number {
  stage.guest.write(FRAME_AT, sent(tag));
  tx.addReadable(FRAME_AT, HEADER_BYTES + 60);
  tx.publish();
  stage.kick(1);
  return usedOf(tx);
}

const usedOf = (queue: DriverQueue): number => queue.takeUsed(new UsedBurst(QUEUE_SIZE), QUEUE_SIZE);

test('the kernel is told of the device: features without a control queue, both queues, its configuration', () => {
  const { features, queueSizes, config } = stage.node;
  // MAC, MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, VERSION_1, ACCESS_PLATFORM, RING_PACKED, IN_ORDER
  expect(features).toBe([5, 15, 28, 29, 32, 33, 34, 35].reduce((all, bit) => all | (1n << BigInt(bit)), 0n));
  expect([...queueSizes]).toEqual([QUEUE_SIZE, QUEUE_SIZE]);
  expect(config).toEqual(stage.model.config);
  expect([...config.subarray(0, 6)]).toEqual([2, 0, 0, 0, 0, 1]);
});

test.each([
  ['split', (1n << 34n) | (1n << 35n), 1n << 35n],
  ['packed', (1n << 34n) | (1n << 35n), (1n << 34n) | (1n << 35n)],
] as const)('of "%s" rings only those are offered, and the others are refused', (rings, mask, offered) => {
  stage.end();
  stage = new VduseStage({ rings });
  expect(stage.node.features & mask).toBe(offered);
  const isPacked = rings === 'packed';
  expect(stage.start(SPLIT)).toEqual([true, true, true, !isPacked, !isPacked]);
  expect(stage.states.at(-1)).toBe(isPacked ? 'connected' : 'running');
  if (isPacked) expect(stage.device.refusal).toBe('split rings are not served here');
});

test.each([
  ['CTRL_VQ', { features: [5, 17] }],
  ['GUEST_ANNOUNCE', { features: [5, 16, 21], externalControl: true }],
  ['MQ', { features: [5, 22], pairs: 2, externalControl: true }],
])('a network device with %s, of which Linux takes none, is its owner’s mistake', (name, options) => {
  const model = new NetDevice({
    memory: stage.host,
    scratch: 0,
    backend: stage.backend,
    mac: Uint8Array.of(2, 0, 0, 0, 0, 2),
    ...options,
  });
  expect(() => stage.serve({ name: 'other', model })).toThrow(
    `model.features is VIRTIO_NET_F_${name}, want no control queue, one pair (VDUSE)`,
  );
});

test('a device whose requests cannot be waited for leaves nothing open behind, and no device', () => {
  const kernel = new ScriptedKernel();
  kernel.isUnpollable = true;
  const model = new NetDevice({
    memory: stage.host,
    scratch: 0,
    backend: stage.backend,
    features: [5],
    mac: Uint8Array.of(2, 0, 0, 0, 0, 2),
  });
  const before = readdirSync('/proc/self/fd').length;
  expect(() => stage.serve({ name: 'other', model, kernel })).toThrow('EPERM');
  expect(readdirSync('/proc/self/fd').length).toBe(before);
  expect([kernel.openFiles, kernel.nodes.size]).toEqual([0, 0]);
});

describe.each([
  ['split', SPLIT],
  ['packed', PACKED],
] as const)('%s rings', (layout, features) => {
  test('status goes 0, 1, 3, 0xb, 0xf, and then frames go both ways, with interrupts', () => {
    expect(stage.start(features)).toEqual([true, true, true, true, true]);
    expect(stage.states).toEqual(['connected', 'running']);
    const [rx, tx] = [stage.openDriver(0, features), stage.openDriver(1, features)];
    expect(send(tx, 7)).toBe(1);
    expect(stage.backend.bytes).toEqual([frame(7)]);
    expect(stage.node.interrupts).toEqual([1]);
    rx.addWritable(FRAME_AT + 0x1000, 1526);
    rx.publish();
    stage.kick(0);
    expect(stage.bring(frame(9))).toBe(DELIVERED.ACCEPTED);
    stage.device.pump(64);
    expect(stage.node.interrupts).toEqual([1, 0]);
    expect(usedOf(rx)).toBe(1);
    expect(stage.guest.read(FRAME_AT + 0x1000 + HEADER_BYTES, 60)).toEqual(frame(9));
    expect([stage.device.faults, stage.device.counters]).toEqual([0, { requests: 5, refused: 0, interrupts: 2 }]);
  });

  test('an interrupt that comes before the kernel has noted DRIVER_OK is kept until it has', () => {
    stage.start(features);
    const tx = stage.openDriver(1, features);
    // Answered, and not noted yet.
    stage.node.status = 0xb;
    expect(send(tx, 7)).toBe(1);
    expect(stage.node.interrupts).toEqual([]);
    expect(stage.device.deadline()).toBe(500);
    stage.time = 499;
    stage.node.status = 0xf;
    stage.device.pump(64);
    expect(stage.node.interrupts).toEqual([]);
    stage.time = 500;
    stage.device.pump(64);
    expect([stage.node.interrupts, stage.device.deadline()]).toEqual([[1], Number.POSITIVE_INFINITY]);
  });

  test('GET_VQ_STATE says where the device stands in a queue, running or not', () => {
    // Nobody has moved it.
    expect(stage.ask(0, 1)).toEqual({ result: 0, words: [1, 0, 0] });
    stage.start(features);
    expect(stage.ask(0, 0)).toEqual({
      result: 0,
      words: layout === 'split' ? [0, 0, 0] : [0, 0x0000_0001, 0x0000_0001],
    });
    const tx = stage.openDriver(1, features);
    for (let count = 0; count < 21; count++) send(tx, count);
    // Of 16 descriptors: 5 in the second round, whose wrap counters are 0.
    expect(stage.ask(0, 1)).toEqual({
      result: 0,
      words: layout === 'split' ? [1, 21, 0] : [1, 0x0005_0000, 0x0005_0000],
    });
    expect(send(tx, 77)).toBe(1);
  });

  test('a queue begins where the driver says', () => {
    stage.start(features);
    stage.setStatus(0);
    for (const status of [1, 3]) stage.setStatus(status);
    stage.setUp(features);
    // Where 16 buffers were used.
    stage.node.queues[1]!.state = layout === 'split' ? [16, 0, 0, 0] : [0, 0, 0, 0];
    expect([stage.setStatus(0xb), stage.setStatus(0xf)]).toEqual([true, true]);
    expect(stage.ask(0, 1)!.words).toEqual(layout === 'split' ? [1, 16, 0] : [1, 0, 0]);
  });

  test('a reset drops all mappings before it is answered, and the device can begin anew', () => {
    stage.start(features);
    expect(send(stage.openDriver(1, features), 1)).toBe(1);
    expect(stage.memory.inUse).toBeGreaterThan(0);
    expect(stage.setStatus(0)).toBe(true);
    expect([stage.memory.inUse, stage.states.at(-1)]).toEqual([0, 'listening']);
    stage.guest.write(RAM.iova, new Uint8Array(0x1_0000));
    expect(stage.start(features)).toEqual([true, true, true, true, true]);
    expect(send(stage.openDriver(1, features), 2)).toBe(1);
    expect(stage.backend.bytes).toEqual([frame(1), frame(2)]);
  });

  test('UPDATE_IOTLB: what it names is not reached any more when it is answered, and asked for anew', () => {
    stage.start(features);
    const tx = stage.openDriver(1, features);
    expect(send(tx, 1)).toBe(1);
    const [region] = stage.node.regions;
    // Elsewhere: nothing changes.
    expect(stage.ask(2, 0, 0, RAM.iova - 1, 0)!.result).toBe(0);
    expect(stage.memory.inUse).toBeGreaterThan(0);
    // The same addresses are other bytes of the file from now on: what was a frame's is elsewhere in it.
    const moved = stage.guest.read(RAM.iova, 0x8000);
    stage.node.regions = [
      { ...region!, last: region!.first + 0x7fffn, offset: region!.offset + 0x8_0000n },
      { ...region!, first: region!.first + 0x8000n, offset: region!.offset + 0x8000n },
    ];
    stage.guest.write(RAM.iova + 0x8_0000, moved);
    expect(stage.ask(2, RAM.iova, 0, 0xffff_ffff, 0xffff_ffff)!.result).toBe(0);
    expect(stage.memory.inUse).toBe(0);
    stage.guest.write(FRAME_AT, sent(2));
    tx.addReadable(FRAME_AT, HEADER_BYTES + 60);
    tx.publish();
    stage.guest.write(RAM.iova + 0x8_0000, stage.guest.read(RAM.iova, 0x8000));
    stage.kick(1);
    // The device's part is where the addresses lead now, and the driver's old place has nothing of it.
    expect(stage.backend.bytes).toEqual([frame(1), frame(2)]);
    expect(usedOf(tx)).toBe(0);
    stage.guest.write(RAM.iova, stage.guest.read(RAM.iova + 0x8_0000, 0x8000));
    expect(usedOf(tx)).toBe(1);
    expect(stage.device.device.resetReason).toBeUndefined();
  });

  test('a ring that is gone after UPDATE_IOTLB stops the device, which says so once, until it is reset', () => {
    stage.start(features);
    stage.node.regions = [];
    expect(stage.ask(2, 0, 0, 0xffff_ffff, 0xffff_ffff)!.result).toBe(0);
    stage.kick(1);
    stage.kick(1);
    expect(stage.problems).toHaveLength(1);
    expect(stage.problems[0]).toMatch(/^needs a reset: queue \d cannot be trusted/);
    expect(stage.states.at(-1)).toBe('connected');
    expect(stage.device.faults).toBeGreaterThan(0);
    expect(stage.setStatus(0)).toBe(true);
    expect(stage.states.at(-1)).toBe('listening');
  });

  test('a buffer that the kernel has no region for is given back empty, counted, and nothing else is', () => {
    stage.start(features);
    const tx = stage.openDriver(1, features);
    tx.addReadable(RAM.iova + RAM.size - 0x100, 0x200);
    tx.addReadable(0x9000_0000, 72);
    tx.publish();
    stage.kick(1);
    expect([usedOf(tx), stage.backend.bytes.length]).toEqual([2, 0]);
    expect(stage.device.faults).toBeGreaterThanOrEqual(2);
    expect(send(tx, 3)).toBe(1);
    expect(stage.backend.bytes).toEqual([frame(3)]);
  });
});

describe('VU-30: the kernel’s requests are foreign input', () => {
  test('one that is shorter than the structure is refused where it has an id, and changes nothing', () => {
    stage.start(SPLIT);
    for (const length of [0, 7, 8, 24, 151]) {
      const bytes = new Uint8Array(length);
      // SET_STATUS 0, were it whole.
      if (length > 4) bytes.set([1, 0, 0, 0, 99].slice(0, length));
      expect(stage.askBytes(bytes)?.result).toBe(length < 8 ? undefined : 1);
    }
    expect([stage.device.counters.refused, stage.states.at(-1)]).toEqual([5, 'running']);
    expect(stage.device.refusal).toBe('a request of 151 bytes, want 152');
    expect(send(stage.openDriver(1, SPLIT), 1)).toBe(1);
  });

  test('one of an unknown type is refused', () => {
    expect([stage.ask(3)!.result, stage.ask(0xffff_ffff)!.result]).toEqual([1, 1]);
    expect(stage.device.refusal).toBe('a request of type 4294967295');
  });

  test('a queue number that there is not is refused, also one that is there in its low 16 bits', () => {
    for (const index of [2, 0x1_0000, 0x1_0001, 0xffff_ffff]) expect(stage.ask(0, index)!.result).toBe(1);
    expect(stage.device.refusal).toBe('queue 4294967295 of 2');
    expect(stage.ask(0, 1)!.result).toBe(0);
  });

  test('arrays are sized for every queue of the device: pairs, the control queue, and as many as there may be', () => {
    for (const count of [3, 0xffff]) {
      const name = `many${count}`;
      const model = {
        // A block device: network devices have two.
        deviceId: 2,
        features: new Uint32Array(4),
        queueSizes: new Array<number>(count).fill(8),
        config: new Uint8Array(8),
        featureProblem: () => undefined,
        writeConfig: () => {},
        start: () => {},
        queueChanged: () => {},
        notified: () => {},
        step: () => 0,
        deadline: () => Number.POSITIVE_INFINITY,
        stop: () => {},
      };
      const device = stage.serve({ name, model });
      const node = stage.kernel.nodes.get(name)!;
      expect([node.queueSizes.length, node.queueSizes[count - 1]]).toEqual([count, 8]);
      for (const [index, result] of [
        [count - 1, 0],
        [count, 1],
      ] as const) {
        const bytes = new Uint8Array(152);
        new DataView(bytes.buffer).setUint32(24, index, true);
        stage.kernel.ask(name, bytes);
        device.ready();
        expect([node.answers.at(-1)![4], index]).toEqual([result, index]);
      }
      expect(device.close()).toBe(true);
    }
    expect(() =>
      stage.serve({
        name: 'more',
        model: { ...stage.model, deviceId: 2, queueSizes: new Array(0x1_0000).fill(8) } as never,
      }),
    ).toThrow('queueSizes.length is 65536, want at most 65535 (VDUSE)');
  });

  test('a ring that cannot be where the driver put it is refused at DRIVER_OK, by name, and after a reset it may be right', () => {
    for (const [change, why] of [
      [{ size: 3 }, /^queue 1: queue_size is 3/],
      [{ size: 2 * QUEUE_SIZE }, /^queue 1: queue_size is 32/],
      [{ size: 0x1_0010 }, /^queue 1: queue_size is 65552/],
      [{ areas: [1n, 2n, 3n] }, /^queue 1: /],
      [{ areas: [0x8000_0000n, 0x8000_1000n, 0x8000_2000n] }, /^queue 1: /],
      [{ areas: [2n ** 63n, 2n ** 63n, 2n ** 63n] }, /^queue 1: queue_desc is 0x8000000000000000/],
    ] as const) {
      for (const status of [0, 1, 3]) stage.setStatus(status);
      stage.setUp(SPLIT);
      Object.assign(stage.node.queues[1]!, change);
      expect([stage.setStatus(0xb), stage.setStatus(0xf)]).toEqual([true, false]);
      expect(stage.device.refusal).toMatch(why);
    }
    expect(stage.start(SPLIT)).toEqual([true, true, true, true, true]);
  });

  test('features that were not offered are refused, and the kernel sees no FEATURES_OK', () => {
    expect(stage.start(SPLIT | (1n << 40n)).slice(2)).toEqual([true, false, false]);
    expect(stage.device.refusal).toBe('VIRTIO_F_RING_RESET was accepted and not offered');
    expect(stage.start(1n << 32n).slice(2)).toEqual([true, false, false]);
    expect(stage.node.status).toBe(3);
    expect(stage.start(SPLIT)).toEqual([true, true, true, true, true]);
  });

  test('status bits in any order and without sense leave the device in a state that there is', () => {
    for (let status = 1; status < 256; status++) stage.setStatus(status);
    expect(stage.setStatus(0)).toBe(true);
    expect(stage.start(PACKED)).toEqual([true, true, true, true, true]);
  });
});

test('FAILED is taken over: the device stops', () => {
  stage.start(SPLIT);
  expect(stage.setStatus(0x8f)).toBe(true);
  expect(stage.device.device.live).toBe(false);
});

test('all at once, as a kernel says it to a process that took the device up: 0xf', () => {
  stage.setStatus(0);
  stage.setUp(PACKED);
  expect(stage.setStatus(0xf)).toBe(true);
  expect(send(stage.openDriver(1, PACKED), 1)).toBe(1);
});

test('a queue that the driver did not make ready is left out', () => {
  for (const status of [0, 1, 3]) stage.setStatus(status);
  stage.setUp(SPLIT);
  stage.node.queues[0]!.isReady = false;
  stage.node.queues[0]!.areas = [0n, 0n, 0n];
  expect([stage.setStatus(0xb), stage.setStatus(0xf)]).toEqual([true, true]);
  expect(stage.node.queues.map(({ kick }) => kick >= 0)).toEqual([false, true]);
  expect(send(stage.openDriver(1, SPLIT), 1)).toBe(1);
});

test('a link that goes down is in the kernel’s configuration, and a driver that runs is interrupted for it', () => {
  stage.end();
  const STATUS = 16;
  stage = new VduseStage({}, [5, 15, STATUS]);
  const linkWord = (): number => stage.node.config[6]!;
  expect(linkWord()).toBe(1);
  stage.model.setLink(false);
  stage.setStatus(1);
  expect([linkWord(), stage.node.interrupts]).toEqual([0, []]);
  stage.start(SPLIT | (1n << BigInt(STATUS)));
  stage.model.setLink(true);
  stage.device.pump(64);
  expect([linkWord(), stage.node.interrupts]).toEqual([1, [-1]]);
});

test.runIf(process.arch === 'x64')(
  'memory that is gone under the device stops it until it is reset; nobody else notices',
  () => {
    stage.start(SPLIT);
    const tx = stage.openDriver(1, SPLIT);
    expect(send(tx, 1)).toBe(1);
    tx.addReadable(FRAME_AT, 72);
    tx.publish();
    ftruncateSync(stage.file, 0);
    stage.kick(1);
    expect(stage.problems).toEqual(['needs a reset: an address was used that its driver has taken away']);
    expect(stage.setStatus(0)).toBe(true);
    ftruncateSync(stage.file, RAM.offset + RAM.size);
    expect(stage.start(SPLIT)).toEqual([true, true, true, true, true]);
  },
);

test('a kernel that waited too long has given the device up: that is told, and nothing is waited for any more', () => {
  stage.start(SPLIT);
  stage.node.isBroken = true;
  // An error alone makes the descriptor ready.
  stage.kernel.ask(NAME, new Uint8Array(152));
  stage.node.requests.length = 0;
  stage.device.ready();
  expect(stage.problems).toEqual([
    'not answered in time: the kernel has given the device up (EPERM): "vdpa dev del net0", and start again',
  ]);
  expect(stage.states.at(-1)).toBe('listening');
  expect([stage.device.fd, stage.device.pump(64), stage.device.deadline()]).toEqual([-1, 0, Number.POSITIVE_INFINITY]);
  stage.device.ready();
});

test('closed, the device is gone, with its descriptors; on the bus it stays, and its kicks are taken away', () => {
  stage.start(SPLIT);
  stage.node.isOnBus = true;
  const { node } = stage;
  expect(stage.device.close()).toBe(false);
  expect(node.queues.map(({ kick }) => kick)).toEqual([-1, -1]);
  expect([stage.kernel.openFiles, stage.memory.inUse, stage.device.fd]).toEqual([0, 0, -1]);
  node.isOnBus = false;
  const again = stage.serve();
  expect([again.isTakenUp, again.close(), stage.kernel.nodes.size, stage.kernel.openFiles]).toEqual([
    false,
    true,
    0,
    0,
  ]);
  stage.serve();
});
