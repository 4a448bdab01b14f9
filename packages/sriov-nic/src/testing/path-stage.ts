import {
  guestDma,
  isBreakdown,
  type NetDriver,
  openNetDriver,
  openPciTransport,
  type PciAccess,
} from '@ringwire/guest-drivers';
import { GuestMemory, HostMemory, PageAllocator, RangeList } from '@ringwire/guest-memory';
import { Frame, LearningSwitch } from '@ringwire/net-backend';
import { enableVfs, type FoundFunction, PciPort, placeBars, RootComplex, scanBuses } from '@ringwire/pci';
import { NET_SCRATCH_BYTES } from '@ringwire/virtio-device';
import { AssignedFunction } from '../assignment/assigned-function.js';
import { MessageRouter } from '../message-router.js';
import { GuestMessages } from '../receive-path/guest-messages.js';
import { GuestNic } from '../receive-path/guest-nic.js';
import { type HostPath, openHostPath } from '../receive-path/host-path.js';
import { InterruptSteering, messageTo } from '../receive-path/interrupt-steering.js';
import type { PoolClassifier } from '../receive-path/pool-classifier.js';
import { type ReceiveStep, ReceiveTrace } from '../receive-path/receive-trace.js';
import { SriovNic } from '../sriov-nic.js';
import { VIRTIO_NET_VF_ID, virtioFunction, virtioPhysical, virtioVfBars } from '../virtio-personality.js';

export const PF = 0x0100;
export const FIRST_VF = 0x0180;
/** The host does its work here, guest i on core i + 1. */
export const HOST_CORE = 0;
const GUESTS = 2;
const RAM = 0x1_0000_0000;
const RAM_BYTES = 0x10_0000;
/** The host's RAM, then the guests'. */
const SCRATCH: number = (1 + GUESTS) * RAM_BYTES;
/** Of the physical function, virtual ones, and guests' paravirtual cards. */
const SCRATCHES: number = 1 + 2 * GUESTS;
const WIRE_FRAME: number = SCRATCH + SCRATCHES * NET_SCRATCH_BYTES;
/** Made once: WebAssembly memories are few. */
const memory = HostMemory.create(WIRE_FRAME + 0x1_0000);
const RANGES = {
  memory: { base: 0xe000_0000, end: 0xf000_0000 },
  prefetchable: { base: 0x10_0000_0000, end: 0x20_0000_0000 },
  io: { base: 0x1000, end: 0x1_0000 },
};

export const nameOf = (guest: number): string => `guest ${guest}`;
/** Of the physical function, -1, and of guests. */
export const macOf = (guest: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0xc0, guest + 1);
const WIRE_MAC = Uint8Array.of(2, 0, 0, 0, 0xff, 0xff);

interface StageOptions {
  readonly cores?: number;
  /** Queue pairs of each function. */
  readonly pairs?: number;
  /** Of the guests' paravirtual cards. */
  readonly guestMtu?: number;
}

/** A machine with a card, a host and two guests, all of it watched. */
export class PathStage {
  readonly trace = new ReceiveTrace([
    { name: 'host', host: 0, bytes: RAM_BYTES },
    ...Array.from({ length: GUESTS }, (_, guest) => ({
      name: nameOf(guest),
      host: (1 + guest) * RAM_BYTES,
      bytes: RAM_BYTES,
    })),
  ]);
  readonly router = new MessageRouter();
  readonly steering: InterruptSteering;
  readonly nic: SriovNic;
  readonly machine = new RootComplex();
  readonly heard: number[][] = Array.from({ length: GUESTS }, () => []);
  readonly guestDrivers: (NetDriver | undefined)[] = [];
  readonly paths: HostPath[] = [];
  private readonly wires = new LearningSwitch(2 + GUESTS);
  private readonly pages = Array.from({ length: 1 + GUESTS }, () => new PageAllocator(RAM, RAM_BYTES));
  private readonly nics: GuestNic[] = [];
  private readonly pf: FoundFunction;
  /** Whose memory a function reaches: -1 for the host. */
  private readonly reach = new Map<number, number>();

  /** Queue pair that the last frame came in by. */
  lastPair = -1;
  private readonly options: StageOptions;

  constructor({ cores = 1 + GUESTS, ...more }: StageOptions = {}) {
    this.options = more;
    const { pairs = 1 } = more;
    memory.engine.fill(0, 0, memory.size);
    this.steering = new InterruptSteering(cores, this.router, this.trace);
    const options = (place: number, requesterId: number) => ({
      memory,
      scratch: SCRATCH + place * NET_SCRATCH_BYTES,
      backend: this.trace.port(requesterId, this.wires.ports[1 + place]!),
      mac: macOf(place - 1),
      net: { pairs },
    });
    this.nic = new SriovNic({
      totalVfs: GUESTS,
      vfDeviceId: VIRTIO_NET_VF_ID,
      routing: { first: FIRST_VF - PF, stride: 1 },
      plainRouting: { first: 0x100, stride: 1 },
      vfBars: virtioVfBars(pairs),
      physicalId: PF,
      physical: (place) => virtioPhysical(place, options(0, PF)),
      virtual: (place) => virtioFunction(place, options(1 + place.seat.index, place.seat.routingId)),
      openSpace: (requesterId) => this.trace.space(requesterId, ramOf(this.reach.get(requesterId) ?? -1)),
      sendMessage: (...message) => this.steering.deliver(...message),
    });
    const port = new PciPort({ kind: 'root-port', vendorId: 0x1b36, deviceId: 0x000c });
    port.secondary.plug(0, this.nic);
    this.machine.bus.plug(8, port);
    const found = scanBuses(this.machine);
    placeBars(this.machine, found, RANGES);
    this.pf = found.find(({ routingId }) => routingId === PF)!;
    // Whoever is at the far end takes nothing.
    this.wires.ports[0]!.attach({ offloads: 0, receive: () => 2 });
  }

  /** One queue for all guests: the host's driver on the physical function, and a software switch. */
  hypervisor(classifier: PoolClassifier): HostPath {
    return this.openPath(
      PF,
      this.pf,
      HOST_CORE,
      Array.from({ length: GUESTS }, (_, guest) => this.paravirtual(guest)),
      classifier,
    );
  }

  /** A queue for each guest, sorted by the card, still in the host's memory: VMDq. */
  pools(): HostPath[] {
    return enableVfs(this.machine, this.pf, GUESTS).map((found, guest) =>
      this.openPath(found.routingId, found, 1 + guest, [this.paravirtual(guest)]),
    );
  }

  /** A function for each guest, its own driver on it. */
  assigned(isPosted: boolean): void {
    for (let guest = 0; guest < GUESTS; guest++) this.reach.set(FIRST_VF + guest, guest);
    for (const [guest, found] of enableVfs(this.machine, this.pf, GUESTS).entries()) {
      const core = 1 + guest;
      const { routingId } = found;
      for (let vector = 0; vector < 4; vector++)
        if (isPosted) this.steering.post(routingId, vector, core);
        else this.steering.steer(routingId, vector, core);
      this.steering.home(routingId, core);
      const messages = new GuestMessages({
        guest: nameOf(guest),
        core,
        steering: this.steering,
        trace: this.trace,
        interrupt: (_routingId, vector) => this.interruptGuest(guest, vector),
      });
      this.router.route(routingId, (_low, _high, _data, vector) => messages.message(routingId, vector));
      this.driveGuest(guest, new AssignedFunction(this.machine, found));
    }
  }

  /** A frame from the wire. The burst ends when the card works. */
  wire(guest: number, number: number, bytes = 60): void {
    const frame = new Uint8Array(bytes);
    frame.set(macOf(guest));
    frame.set(WIRE_MAC, 6);
    frame.set([0x88, 0xb5, number >>> 8, number & 0xff], 12);
    this.wireBytes(frame);
  }

  wireBytes(bytes: Uint8Array): void {
    memory.u8.set(bytes, WIRE_FRAME);
    const frame = new Frame(memory);
    frame.ranges = new RangeList(1);
    frame.ranges.push(WIRE_FRAME, bytes.length);
    frame.end = 1;
    frame.length = bytes.length;
    this.wires.ports[0]!.receive(frame);
  }

  /** Card, host and guests work until nothing moves. */
  settle(): void {
    this.wires.ports[0]!.flush!();
    for (let turns = 0; turns < 1000; turns++) {
      let done = this.nic.step(64);
      for (const path of this.paths) done += path.turn();
      for (const driver of this.guestDrivers) while (driver?.needsPoll === true) done += 1 + driver.poll();
      if (done === 0) return;
    }
    throw new Error('card, host and guests do not come to rest');
  }

  /** What happened since the last time. */
  take(): ReceiveStep[] {
    const steps = [...this.trace.steps];
    this.trace.clear();
    return steps;
  }

  /** After everything was brought up: nothing is pending, nothing recorded, and the card knows who is where. */
  ready(): this {
    this.settle();
    for (const [guest, driver] of this.guestDrivers.entries()) {
      const hello = new Uint8Array(60);
      hello.set(WIRE_MAC);
      hello.set(macOf(guest), 6);
      driver!.sendBytes(hello);
    }
    this.settle();
    for (const heard of this.heard) heard.length = 0;
    this.trace.clear();
    return this;
  }

  private openPath(
    routingId: number,
    found: FoundFunction,
    core: number,
    guests: readonly GuestNic[],
    classifier?: PoolClassifier,
  ): HostPath {
    const transport = openPciTransport(new AssignedFunction(this.machine, found));
    if (isBreakdown(transport)) throw new Error(transport.message);
    this.steering.home(routingId, core);
    const path = openHostPath({
      driver: {
        transport,
        dma: guestDma(ramOf(-1), this.pages[0]!),
        messages: [0, 1, 2, 3].map((data) => messageTo(core, data)),
        ...SIZES,
      },
      core,
      guests,
      trace: this.trace,
      ...(classifier === undefined ? {} : { classifier }),
    });
    if (isBreakdown(path)) throw new Error(path.message);
    this.router.route(routingId, (_low, _high, _data, vector) => path.interrupt(vector));
    this.paths.push(path);
    return path;
  }

  private paravirtual(guest: number): GuestNic {
    const nic = new GuestNic({
      name: nameOf(guest),
      core: 1 + guest,
      memory,
      scratch: SCRATCH + (1 + GUESTS + guest) * NET_SCRATCH_BYTES,
      space: ramOf(guest),
      mac: macOf(guest),
      trace: this.trace,
      net: { mtu: this.options.guestMtu ?? 1500 },
      interrupt: (vector) => this.interruptGuest(guest, vector),
    });
    this.nics.push(nic);
    this.driveGuest(guest, nic.pci);
    return nic;
  }

  private driveGuest(guest: number, access: PciAccess): void {
    const transport = openPciTransport(access);
    if (isBreakdown(transport)) throw new Error(transport.message);
    const driver = openNetDriver({
      transport,
      dma: guestDma(ramOf(guest), this.pages[1 + guest]!),
      messages: Array.from({ length: 8 }, (_, data) => messageTo(1 + guest, data)),
      ...SIZES,
      pairs: this.options.pairs ?? 1,
      events: {
        frame: (frame) => {
          this.heard[guest]!.push(numberIn(frame.bytes()));
          this.lastPair = frame.pair;
        },
      },
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.guestDrivers[guest] = driver;
  }

  private interruptGuest(guest: number, vector: number): void {
    this.guestDrivers[guest]?.interrupt(vector);
  }
}

const SIZES = {
  queueSize: 64,
  copyPages: 17,
  receiveBytes: 0x2_0000,
  mergeableBytes: 2048,
  now: () => 0,
  recovery: { tries: 0, pause: 0 },
};

const numberIn = (frame: Uint8Array): number => (frame[14]! << 8) | frame[15]!;

/** The host's RAM, -1, or a guest's. Each has the same addresses. */
const ramOf = (guest: number): GuestMemory =>
  new GuestMemory(memory, [{ gpa: RAM, size: RAM_BYTES, host: (1 + guest) * RAM_BYTES }]);
