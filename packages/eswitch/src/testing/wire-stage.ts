import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame, frameBytes } from '@ringwire/net-backend';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { ESWITCH_AREA_BYTES, Eswitch } from '../eswitch.js';
import type { EswitchOptions } from '../eswitch-options.js';
import { TransmitArbiter } from '../transmit-arbiter.js';
import { runUntil, type Stepped, VirtualClock } from '../virtual-clock.js';
import { WIRE_AREA_BYTES, type WirePortOptions } from '../wire/wire-options.js';
import { WirePort } from '../wire/wire-port.js';
import { ethernet, station } from './card-stage.js';

const PAGE = 0x1000;
const WIRE_AT = Math.ceil(ESWITCH_AREA_BYTES / PAGE) * PAGE;
const FRAMES_AT = WIRE_AT + Math.ceil(WIRE_AREA_BYTES / PAGE) * PAGE;
const MEMORY_BYTES = FRAMES_AT + 0x2_0000;
/** Where frames are for that go out by the wire. */
export const OUTSIDE: Uint8Array = station(999);

/** A frame that passed, and when: µs. */
export interface Passed {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** A card with a wire, and a device at every port; virtual function i has the address station(2 + i). */
export class WireStage implements Stepped {
  readonly memory: HostMemory = HostMemory.create(MEMORY_BYTES);
  readonly clock: VirtualClock;
  readonly wire: WirePort;
  readonly arbiter: TransmitArbiter;
  readonly card: Eswitch;
  readonly devices: ScriptedBackend[];
  /** Steps of senders, of which each sends as much as it may: the first ones send first. */
  readonly senders: (() => number)[] = [];
  private readonly frame: Frame;

  constructor(
    options: Partial<WirePortOptions> = {},
    clock: VirtualClock = new VirtualClock(),
    card: Partial<EswitchOptions> = {},
    virtualFunctions = 2,
  ) {
    const { memory } = this;
    this.clock = clock;
    const { now } = clock;
    this.wire = new WirePort({ memory, at: WIRE_AT, now, mac: station(500), ...options });
    this.arbiter = new TransmitArbiter({ now, wire: this.wire });
    this.card = new Eswitch({ memory, at: 0, virtualFunctions, now, gate: this.arbiter, ...card });
    this.devices = this.card.ports.slice(1).map((port) => {
      const device = new ScriptedBackend();
      port.backend.attach(device);
      port.configure({ mac: station(port.number) });
      return device;
    });
    this.wire.serve(this.card);
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(FRAMES_AT, 0);
    this.frame.end = 1;
  }

  /** A frame from the device at a port, of so many bytes. */
  send(port: number, bytes: number, to: Uint8Array = OUTSIDE): Delivered {
    return this.sendBytes(port, padded(ethernet(to, station(port)), bytes));
  }

  /** @param fields what is left to be done; nothing unless given */
  sendBytes(port: number, bytes: Uint8Array, fields: Partial<Frame> = {}): Delivered {
    const { frame, memory } = this;
    frame.clearOffloads();
    Object.assign(frame, fields);
    memory.u8.set(bytes, FRAMES_AT);
    frame.ranges.length[0] = bytes.length;
    frame.length = bytes.length;
    const delivered = this.card.ports[port]!.backend.receive(frame);
    this.card.ports[port]!.backend.flush?.();
    return delivered;
  }

  /** Have a port send frames of so many bytes whenever it may. */
  flood(port: number, bytes: number, to: Uint8Array = OUTSIDE): void {
    const frame = padded(ethernet(to, station(port)), bytes);
    this.senders.push(() => {
      let sent = 0;
      while (sent < 64 && this.sendBytes(port, frame) === DELIVERED.ACCEPTED) sent++;
      return sent;
    });
  }

  step(budget: number): number {
    let done = 0;
    for (const sender of this.senders) done += sender();
    return done + this.wire.step(budget);
  }

  deadline(): number {
    let first = this.wire.deadline();
    for (const { backend } of this.card.ports) first = Math.min(first, backend.deadline?.() ?? first);
    return first;
  }

  /** @param until µs */
  run(until: number): void {
    runUntil(this, this.clock, until);
  }
}

/** What is plugged into a wire: notes what it gets, and sends what it is told, whenever the wire takes it. */
export class FarEnd extends ScriptedBackend {
  readonly got: Passed[] = [];
  count = 0;
  private readonly now: () => number;
  private readonly keeps: boolean;

  constructor(now: () => number, keeps = true) {
    super();
    this.now = now;
    this.keeps = keeps;
  }

  override receive(frame: Frame): Delivered {
    this.count++;
    if (this.keeps) this.got.push({ at: this.now(), bytes: frameBytes(frame) });
    return DELIVERED.ACCEPTED;
  }

  get times(): number[] {
    return this.got.map(({ at }) => at);
  }
}

/** A frame with zeros behind it up to so many bytes, FCS left out. */
export function padded(bytes: Uint8Array, length: number): Uint8Array {
  const whole = new Uint8Array(Math.max(length, bytes.length));
  whole.set(bytes);
  return whole;
}

/** Several cards, and whatever else, stepped together. */
export function together(...all: Stepped[]): Stepped {
  return {
    step: (budget) => all.reduce((done, one) => done + one.step(budget), 0),
    deadline: () => Math.min(...all.map((one) => one.deadline())),
  };
}
