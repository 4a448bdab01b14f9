import { isBreakdown, type NetDriver, openNetDriver, SENT } from '@ringwire/guest-drivers';
import { featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { controlOf, VdpaBridge } from './testing/vdpa-bridge.js';
import {
  frameTo,
  MESSAGES,
  macOf,
  numberIn,
  regionsOf,
  type StageSide,
  VendorBStage,
} from './testing/vendor-b-stage.js';

const RING_BITS = [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM, VIRTIO_F.INDIRECT_DESC, VIRTIO_F.EVENT_IDX];
const NET_BITS = Array.from({ length: 128 }, (_, bit) => bit).filter((bit) => bit < 24 || bit > 49);

/** A guest that knows nothing but virtio, on a function of vendor B's. */
class VirtioGuest {
  readonly bridge: VdpaBridge;
  readonly driver: NetDriver;
  readonly heard: number[] = [];
  /** The side whose messages reach it. */
  side: StageSide;
  private readonly stage: VendorBStage;

  constructor(stage: VendorBStage, side: StageSide, isPacked: boolean) {
    this.stage = stage;
    this.side = side;
    this.bridge = new VdpaBridge(controlOf(side));
    const driver = openNetDriver({
      transport: this.bridge,
      dma: side.dma,
      messages: MESSAGES,
      queueSize: 16,
      copyPages: 17,
      receiveBytes: 0x8000,
      mergeableBytes: 2048,
      now: () => 0,
      recovery: { tries: 0, pause: 0 },
      features: featureWords([...RING_BITS, ...(isPacked ? [VIRTIO_F.RING_PACKED] : []), ...NET_BITS]),
      events: { frame: (frame) => this.heard.push(numberIn(frame.bytes())) },
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.driver = driver;
    expect(hasFeature(driver.features, VIRTIO_F.RING_PACKED)).toBe(isPacked);
  }

  settle(): void {
    for (let turns = 0; turns < 1000; turns++) {
      let moved = this.stage.turnOthers(this.side);
      for (const vector of this.side.messages.splice(0)) {
        this.driver.interrupt(vector);
        moved = true;
      }
      while (this.driver.needsPoll) this.driver.poll();
      if (!moved) return;
    }
    throw new Error('card and drivers do not come to rest');
  }
}

for (const isPacked of [false, true]) {
  const kind = isPacked ? 'packed' : 'split';
  test(`vDPA, ${kind} rings: a virtio driver on vendor B’s card, frames both ways with a native neighbour`, () => {
    const stage = new VendorBStage();
    const [a, b] = stage.enable(2);
    b!.drive();
    const guest = new VirtioGuest(stage, a!, isPacked);
    expect(guest.driver.mac).toEqual(macOf(0));
    for (let number = 0; number < 100; number++) {
      expect(guest.driver.sendBytes(frameTo(macOf(1), macOf(0), number))).toBe(SENT.OK);
      b!.driver!.sendBytes(frameTo(macOf(0), macOf(1), 500 + number));
      guest.settle();
    }
    expect(b!.heard.map(numberIn)).toEqual(Array.from({ length: 100 }, (_, number) => number));
    expect(guest.heard).toEqual(Array.from({ length: 100 }, (_, number) => 500 + number));
  });

  test(`F68, ${kind} rings: suspended here, set going there, the guest’s driver goes on and notices nothing`, () => {
    const stage = new VendorBStage();
    const host = stage.host().drive().commands!;
    const [a, b, c] = stage.enable(3);
    b!.drive();
    const guest = new VirtioGuest(stage, a!, isPacked);
    const send = (number: number): number => guest.driver.sendBytes(frameTo(macOf(1), macOf(0), number));
    for (let number = 0; number < 30; number++) {
      send(number);
      guest.settle();
    }
    // Those are in the ring when the function is suspended: the next one sends them.
    for (let number = 30; number < 37; number++) send(number);
    // The guest keeps its address, and function 2 reaches its memory.
    expect(host.setVirtualMac(0, Uint8Array.of(2, 7, 7, 7, 7, 7))).toBeUndefined();
    expect(host.setVirtualMac(2, macOf(0))).toBeUndefined();
    stage.spaces.get(2)!.remap(regionsOf(2, 0));
    guest.bridge.moveTo(controlOf(c!));
    guest.side = c!;
    for (let number = 37; number < 60; number++) {
      send(number);
      guest.settle();
    }
    for (let number = 500; number < 560; number++) {
      b!.driver!.sendBytes(frameTo(macOf(0), macOf(1), number));
      guest.settle();
    }
    expect(b!.heard.map(numberIn)).toEqual(Array.from({ length: 60 }, (_, number) => number));
    expect(guest.heard).toEqual(Array.from({ length: 60 }, (_, number) => 500 + number));
    expect([guest.driver.state, guest.driver.counters.breaks.every((count) => count === 0)]).toEqual(['running', true]);
  });
}

test('the virtio data plane: positions are told when it is suspended only, wrong ones are refused, native commands too', () => {
  const stage = new VendorBStage();
  const [a] = stage.enable(1);
  const guest = new VirtioGuest(stage, a!, false);
  const { control } = guest.bridge;
  expect(control.position(0)).toMatchObject({ message: expect.stringContaining('BAD_STATE') });
  expect(control.suspend()).toBeUndefined();
  expect(control.position(0)).toEqual({ layout: 'split', lastAvailIdx: 0, usedIdx: 0 });
  expect(control.position(3)).toMatchObject({ message: expect.stringContaining('BAD_PARAMETER') });
  expect(control.setPosition(0, { layout: 'split', lastAvailIdx: 1, usedIdx: 1 })?.message).toContain('BAD_STATE');
  expect(control.setReady(0, false)).toBeUndefined();
  expect(control.setPosition(0, { layout: 'split', lastAvailIdx: 1, usedIdx: 0 })).toBeUndefined();
  expect(control.setReady(0, true)?.message).toContain('BAD_STATE');
  expect(control.setPosition(0, { layout: 'split', lastAvailIdx: 0, usedIdx: 0 })).toBeUndefined();
  expect(control.setReady(0, true)).toBeUndefined();
  expect(control.setReady(9, true)?.message).toContain('BAD_PARAMETER');
  expect(control.accept(new Uint32Array(4).fill(0xffff_ffff))?.message).toContain('BAD_PARAMETER');
  expect(control.readConfig(20, 20)).toMatchObject({ message: expect.stringContaining('BAD_PARAMETER') });
  expect(control.resume()).toBeUndefined();
  expect(control.close()).toBeUndefined();
  expect(a!.function.virtio).toBeUndefined();
});

test('a ring that cannot be trusted: the function says FATAL, the status DEVICE_NEEDS_RESET, neighbours go on', () => {
  const stage = new VendorBStage();
  const [a, b, c] = stage.enable(3);
  b!.drive();
  c!.drive();
  const guest = new VirtioGuest(stage, a!, false);
  guest.settle();
  const { driver: available } = guest.bridge.setups[1]!;
  const host = a!.ram.resolve(available, 4, 3);
  // An available index 0x1000 ahead of what was used.
  stage.memory.u16[(host + 2) >>> 1] = 0x1000;
  guest.bridge.control.kick(1);
  guest.settle();
  expect(a!.function.fault).not.toBe(0);
  c!.driver!.sendBytes(frameTo(macOf(1), macOf(2), 5));
  stage.settle();
  expect(b!.heard.map(numberIn)).toEqual([5]);
});

test('dev.net.config.12: vDPA on vendor B’s card shows the wire’s speed, and another one after its link was down', () => {
  const stage = new VendorBStage({ hasSwitch: true });
  const [a] = stage.enable(1);
  const guest = new VirtioGuest(stage, a!, false);
  guest.settle();
  expect([guest.driver.isLinkUp, guest.driver.speed]).toEqual([true, 10_000]);
  stage.eswitch!.setLink({ speed: 25_000, duplex: 'full' });
  guest.settle();
  expect([guest.driver.isLinkUp, guest.driver.speed]).toEqual([true, 25_000]);
});
