import { type NetDriver, SENT } from '@ringwire/guest-drivers';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { ChainBurst } from '@ringwire/virtqueue';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { VhostDevicePort } from './device-port.js';
import type { VhostUserTransport } from './front-end-transport.js';
import { FrontScript, stateOf } from './testing/front-script.js';
import { FrontStage, ownFrame } from './testing/front-stage.js';
import { held } from './testing/session-stage.js';

const SPLIT = featureWords([VIRTIO_F.VERSION_1, VIRTIO_NET_F.MAC, VIRTIO_NET_F.STATUS, VIRTIO_F.EVENT_IDX]);
const PACKED = featureWords([VIRTIO_F.VERSION_1, VIRTIO_NET_F.MAC, VIRTIO_NET_F.STATUS, VIRTIO_F.RING_PACKED]);
const IN_ORDER = featureWords([
  ...[VIRTIO_F.VERSION_1, VIRTIO_F.RING_PACKED, VIRTIO_F.IN_ORDER],
  ...[VIRTIO_NET_F.MAC, VIRTIO_NET_F.STATUS],
]);
const FRAMES = Array.from({ length: 400 }, (_, n) => ownFrame(60 + ((n * 37) % 1400), n));
const EVERY = 3;

let before: ReturnType<typeof held>;

beforeEach(() => {
  before = held();
});

afterEach(() => expect(held()).toEqual(before));

describe('with a back-end that moves frames', () => {
  let stage: FrontStage;
  let transport: VhostUserTransport;

  beforeEach(() => {
    stage = new FrontStage();
    transport = stage.open({ retryMs: 2 });
  });

  afterEach(() => {
    transport.close();
    stage.end();
  });

  /** Send all frames, and do something to the connection now and then. */
  function sendAll(driver: NetDriver, heard: readonly Uint8Array[], disturb: () => void): void {
    for (let sent = 0, turns = 1; heard.length < FRAMES.length && turns < 5000; turns++) {
      const most = Math.min(sent + 10, FRAMES.length);
      while (sent < most && driver.sendBytes(FRAMES[sent]!) === SENT.OK) sent++;
      if (turns % EVERY === 0) disturb();
      stage.turn(8);
      transport.takeInterrupts((vector) => driver.interrupt(vector));
      while (driver.needsPoll) driver.poll();
      driver.watch();
    }
  }

  test.each([
    ['split', SPLIT],
    ['packed', PACKED],
    ['packed, in order', IN_ORDER],
  ])(
    'VU-27: a %s ring goes on where it was, however often its back-end goes: no frame is lost or comes twice',
    (_, features) => {
      const { driver, heard, links } = stage.kernel(transport, features);
      sendAll(driver, heard, () => stage.cut());
      expect(heard).toEqual(FRAMES);
      expect(links.length).toBeGreaterThan(1);
      expect(links).toEqual(links.map((_, n) => n % 2 === 1));
      expect([driver.counters.restarts, driver.counters.txLost]).toEqual([0, 0]);
      driver.close();
    },
  );

  test.each([
    ['split', SPLIT],
    ['packed', PACKED],
  ])("a %s ring that was taken back in order is the next back-end's as it was", (_, features) => {
    const { driver, heard } = stage.kernel(transport, features);
    sendAll(driver, heard, () => {
      // What is on the cable when a receive ring stops is lost, as with any device.
      stage.settle(transport, driver);
      transport.disconnect();
      stage.turn();
    });
    expect(heard).toEqual(FRAMES);
    expect(stage.sessions).toBeGreaterThan(4);
    expect(driver.counters.restarts).toBe(0);
    driver.close();
  });
  /** Two frames are in the transmit ring, and the back-end used the second one first when it went. */
  function cutOutOfOrder(driver: NetDriver, before = () => {}): void {
    const queue = (stage.session!.port as VhostDevicePort).queue(1)!;
    for (const frame of FRAMES.slice(0, 2)) driver.sendBytes(frame);
    const burst = new ChainBurst(2);
    expect(queue.takeBurst(burst, 2)).toBe(2);
    queue.putUsed(burst.token[1]!, 0);
    queue.publishUsed();
    before();
    stage.cut();
  }

  test('VU-27: a packed ring that was used out of order is restored from the area of what is in flight', () => {
    const { driver, heard } = stage.kernel(transport, PACKED);
    cutOutOfOrder(driver);
    stage.settle(transport, driver);
    stage.time += 10;
    stage.settle(transport, driver);
    expect(heard).toEqual(FRAMES.slice(0, 1));
    heard.length = 0;
    sendAll(driver, heard, () => {});
    expect(heard).toEqual(FRAMES);
    expect([driver.counters.restarts, driver.counters.txLost]).toEqual([0, 0]);
    driver.close();
  });

  test('VU-27: with an area that nobody wrote into the device needs a reset then, and works again after it', () => {
    const { driver, heard } = stage.kernel(transport, PACKED);
    cutOutOfOrder(driver, () => {
      const { mapping, bytes } = stage.session!.port.inflight!;
      stage.session!.port.memory.engine.fill(mapping.host, 0, bytes);
    });
    expect(transport.status() & 0x40).toBe(0x40);
    driver.watch();
    expect([stateOf(driver), transport.isConnected]).toEqual(['recovering, down', false]);
    stage.time += 1000;
    driver.watch();
    expect([stateOf(driver), transport.isConnected, driver.counters.restarts]).toEqual(['running, up', true, 1]);
    sendAll(driver, heard, () => {});
    expect(heard).toEqual(FRAMES);
    driver.close();
  });

  test('frames that are sent while the back-end is away wait in the ring', () => {
    const { driver, heard, links } = stage.kernel(transport, SPLIT);
    stage.cut();
    transport.takeInterrupts((vector) => driver.interrupt(vector));
    driver.poll();
    expect([links, driver.state]).toEqual([[false], 'running']);
    for (const frame of FRAMES.slice(0, 20)) expect(driver.sendBytes(frame)).toBe(SENT.OK);
    sendAll(driver, heard, () => {});
    expect(links).toEqual([false, true]);
    expect(heard.slice(0, 20)).toEqual(FRAMES.slice(0, 20));
    driver.close();
  });
});

test('a front-end that listens serves the back-end that comes, and the next one after it', () => {
  const stage = new FrontStage();
  const path = `${stage.path}.front`;
  const transport = stage.open({ path, listens: true, retryMs: 1, pause: () => stage.turnTowards(path) });
  const { driver, heard, links } = stage.kernel(transport, SPLIT);
  for (let round = 0; round < 3; round++) {
    driver.sendBytes(FRAMES[round]!);
    stage.settle(transport, driver);
    stage.cut();
    stage.settle(transport, driver);
    stage.turnTowards(path);
    stage.settle(transport, driver);
  }
  expect(heard).toEqual(FRAMES.slice(0, 3));
  expect(links).toEqual([false, true, false, true, false, true]);
  driver.close();
  transport.close();
  stage.end();
});

describe('with a scripted back-end', () => {
  let script: FrontScript;
  let transport: VhostUserTransport;
  let driver: NetDriver;

  beforeEach(() => {
    script = new FrontScript();
  });

  afterEach(() => {
    driver.close();
    transport.close();
    script.end();
  });

  function start(features?: Uint32Array): void {
    transport = script.reach({ retryMs: 10 }) as VhostUserTransport;
    driver = script.drive(transport, features)!;
    script.attend(transport, driver);
  }

  function away(): void {
    script.backEnd.asked = [];
    script.backEnd.hangUp();
    script.attend(transport, driver);
    expect(stateOf(driver)).toBe('running, down');
    script.time += 10;
  }

  const MULTI = featureWords([...[3, 5, 15, 16, 17, 22], VIRTIO_F.VERSION_1]);

  test('the area of what is in flight is given back, before rings start, with the positions that the used index says', () => {
    const { backEnd } = script;
    start(MULTI);
    expect(backEnd.asked.filter((id) => id === 31 || id === 32 || id === 12).slice(0, 3)).toEqual([31, 32, 12]);
    const area = backEnd.payloads.get(32);
    away();
    script.setUsedIndex(backEnd.payloads.get(9)!, 0x1234);
    transport.takeInterrupts();
    script.setUsedIndex(backEnd.payloads.get(9)!, 0);
    // Greeting, features and memory, four rings, the area, their start, two pairs on, status.
    const ring = [8, 10, 9, 14, 13];
    expect(backEnd.asked.slice(0, 41)).toEqual([
      ...[1, 15, 16, 17, 36, 3, 21, 24, 2, 37, 20],
      ...[...ring, ...ring, ...ring, ...ring],
      ...[32, 12, 12, 12, 12, 18, 18, 18, 18, 39],
    ]);
    expect(backEnd.payloads.get(32)).toEqual(area);
    expect([...backEnd.payloads.get(10)!]).toEqual([3, 0, 0, 0, 0x34, 0x12, 0, 0]);
    expect([...backEnd.payloads.get(39)!]).toEqual([15, 0, 0, 0, 0, 0, 0, 0]);
  });

  test.each([
    [
      'offers less',
      () => {
        script.backEnd.features &= ~(1n << 15n);
      },
      'the back-end offers less than the one before',
    ],
    [
      'has fewer queues',
      () => {
        script.backEnd.pairs = 1n;
      },
      'the back-end has 1 queue pairs, want 2',
    ],
    [
      'refuses a ring',
      () => {
        script.backEnd.fault = { id: 9, kind: 'refuses' };
      },
      'the back-end refuses SET_VRING_ADDR',
    ],
    [
      'answers another request',
      () => {
        script.backEnd.fault = { id: 17, kind: 'answers another request' };
      },
      'GET_QUEUE_NUM was answered as request 18',
    ],
  ] as const)('VU-28: a back-end that returns and %s gets nothing: the device needs a reset', (_, change, why) => {
    start(MULTI);
    away();
    change();
    script.attend(transport, driver);
    expect([stateOf(driver), transport.isConnected, transport.problem]).toEqual(['broken, down', false, why]);
  });

  test('as long as nobody is there, it is looked for now and then', () => {
    start(MULTI);
    script.backEnd.fault = { id: 1, kind: 'hangs up' };
    away();
    for (let n = 0; n < 25; n++) {
      script.attend(transport, driver);
      script.time++;
    }
    expect(script.backEnd.asked.filter((id) => id === 1).length).toBe(3);
    expect(stateOf(driver)).toBe('running, down');
    script.backEnd.fault = undefined;
    script.time += 10;
    script.attend(transport, driver);
    expect(stateOf(driver)).toBe('running, up');
  });

  test('virtio 1.4 §5.1.9.5.6.1: the number of queue pairs is set by switching rings on and off', () => {
    const { backEnd } = script;
    start(MULTI);
    expect([driver.activePairs, backEnd.enabled]).toEqual([2, [true, true, true, true]]);
    driver.commands!.setPairs(1);
    script.attend(transport, driver);
    expect([driver.activePairs, backEnd.enabled]).toEqual([1, [true, true, false, false]]);
  });

  test('the MTU is told and shown', () => {
    start();
    expect([...script.backEnd.payloads.get(20)!]).toEqual([0x78, 5, 0, 0, 0, 0, 0, 0]);
    expect(driver.mtu).toBe(1400);
  });

  test('a back-end without protocol features is told nothing of them, and its rings are on when they start', () => {
    const { backEnd } = script;
    backEnd.features &= ~(1n << 30n);
    start();
    expect(stateOf(driver)).toBe('running, up');
    expect(backEnd.asked).toEqual([1, 3, 2, 5, 8, 10, 9, 14, 13, 8, 10, 9, 14, 13, 12, 12]);
    expect([...backEnd.payloads.get(5)!.subarray(0, 24)]).toEqual([
      ...[1, 0, 0, 0, 0, 0, 0, 0],
      ...[0, 0, 0x10, 0, 0, 0, 0, 0],
      ...[0, 0, 0x80, 0, 0, 0, 0, 0],
    ]);
  });
});
