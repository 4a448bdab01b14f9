import { type BurstDriver, FrameBurst, FramePool, openPciTransport, openPollDriver } from '@ringwire/guest-drivers';
import { openIxgbeVfPoll } from '@ringwire/guest-drivers/ixgbe';
import { privateArrays } from '@ringwire/ring-loops';
import { opened } from '../net-driver-side.js';
import { type CardFunction, CardMachine } from './card-machine.js';
import { ixgbeStation } from './kernel-station.js';
import { pollFeatures } from './poll-station.js';

/** Bytes of a frame without its check sequence. */
const FRAME_BYTES = 60;
const BURST = 32;
const BUDGET = 64;
const QUEUE_SIZE = 256;
const NUMBER_AT = 16;

/** How functions send to one another, flat out: poll-mode drivers, and the card, in turns of one thread. */
export interface PairPlan {
  readonly kind: 'virtio' | '82599';
  readonly rings: 'split' | 'packed';
  /** Functions beside the two, whose drivers run and have nothing to do. */
  readonly idle: number;
}

/** A guest with a poll-mode driver. */
interface PollGuest {
  readonly driver: BurstDriver;
  readonly pool: FramePool;
}

/** One virtual function sends frames to another: through rings, the IOMMU, the card's switch, and rings. */
export class VfToVf {
  /** Frames that came, and those that were out of turn or not as they were sent. */
  came = 0;
  wrong = 0;
  private readonly machine: CardMachine;
  private readonly from: PollGuest;
  private readonly to: PollGuest;
  private readonly out: FrameBurst;
  private readonly back: FrameBurst;
  private next = 0;

  constructor({ kind, rings, idle }: PairPlan) {
    const vfs = new Array<PairPlan['kind']>(2 + idle).fill(kind);
    this.machine = new CardMachine({ vfs, now: () => performance.now() * 1000, eswitch: { floating: true } });
    const { machine } = this;
    const host = machine.hosts[0]!;
    const pause = kind === '82599' ? driveHost(machine, host) : () => void machine.step(BUDGET);
    machine.enable(host);
    const guests = machine.guests.map((guest) => open(machine, guest, rings, pause));
    for (let turn = 0; turn < 100; turn++) pause();
    [this.from, this.to] = guests as [PollGuest, PollGuest];
    this.out = new FrameBurst(BURST, privateArrays(machine.memory));
    this.back = new FrameBurst(2 * BURST, privateArrays(machine.memory));
    const frame = frameTo(machine.guests[1]!.mac, machine.guests[0]!.mac);
    const { pool } = this.from;
    for (let buffer = 0; buffer < pool.buffers; buffer++) pool.memory.u8.set(frame, pool.dataOf(buffer));
  }

  /** Send so many frames, and have all of them arrive. @param isChecked whether every byte of each is compared */
  run(frames: number, isChecked: boolean): void {
    const { machine, from } = this;
    const end = this.came + frames;
    let left = frames;
    for (let idle = 0; this.came < end && idle < 1000; idle++) {
      const before = this.came;
      if (left > 0) left -= this.offer(Math.min(BURST, left));
      machine.step(BUDGET);
      this.take(isChecked);
      if (this.came !== before) idle = 0;
    }
    if (this.came !== end) throw new Error(`${end - this.came} frames are lost`);
    from.driver.reclaim(0);
  }

  private offer(count: number): number {
    const { out, from } = this;
    const { pool } = from;
    const { i32 } = pool.memory;
    out.clear();
    const taken = pool.takeBurst(out, count);
    for (let i = 0; i < taken; i++) {
      const buffer = out.frame[i]!;
      i32[(pool.dataOf(buffer) + NUMBER_AT) >>> 2] = this.next;
      this.next = (this.next + 1) | 0;
      pool.setLength(buffer, FRAME_BYTES);
      out.length[i] = FRAME_BYTES;
    }
    const sent = taken === 0 ? 0 : from.driver.txBurst(0, out);
    for (let i = taken - 1; i >= sent; i--) pool.put(out.frame[i]!);
    this.next = (this.next - (taken - sent)) | 0;
    return sent;
  }

  private take(isChecked: boolean): void {
    const { back, to } = this;
    const { pool, driver } = to;
    const { i32 } = pool.memory;
    back.clear();
    const came = driver.rxBurst(0, back);
    for (let i = 0; i < came; i++) {
      const at = pool.dataOf(back.frame[i]!);
      const isRight = i32[(at + NUMBER_AT) >>> 2] === (this.came | 0) && back.length[i] === FRAME_BYTES;
      if (!isRight || (isChecked && !this.isWhole(at))) this.wrong++;
      this.came++;
    }
    pool.putBurst(back.frame, came, back.home);
  }

  private isWhole(at: number): boolean {
    const { u8 } = this.to.pool.memory;
    const [to, from] = [this.machine.guests[1]!.mac, this.machine.guests[0]!.mac];
    for (let i = 0; i < FRAME_BYTES; i++)
      if ((i < NUMBER_AT || i >= NUMBER_AT + 4) && u8[at + i] !== byteOf(to, from, i)) return false;
    return true;
  }
}

function frameTo(to: Uint8Array, from: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: FRAME_BYTES }, (_, at) => byteOf(to, from, at));
}

/** Byte of the frame: addresses, the type for experiments, and counting bytes. */
function byteOf(to: Uint8Array, from: Uint8Array, at: number): number {
  if (at < 6) return to[at]!;
  if (at < 12) return from[at - 6]!;
  return at === 12 ? 0x88 : at === 13 ? 0xb5 : at;
}

function open(machine: CardMachine, of: CardFunction, rings: PairPlan['rings'], pause: () => void): PollGuest {
  const dma = machine.dma(of);
  const pool = new FramePool(dma, { buffers: 3 * QUEUE_SIZE });
  const access = machine.access(of);
  const common = { dma, pool, queueSize: QUEUE_SIZE, mac: of.mac, patience: { tries: 500, pause } };
  if (of.kind === '82599') return { driver: opened(openIxgbeVfPoll({ access, ...common })), pool };
  const features = pollFeatures(rings);
  return { driver: opened(openPollDriver({ transport: opened(openPciTransport(access)), features, ...common })), pool };
}

/** The driver that owns an 82599. @returns a turn of the card and of it */
function driveHost(machine: CardMachine, host: CardFunction): () => void {
  const setup = {
    access: machine.access(host),
    dma: machine.dma(host),
    mac: host.mac,
    now: () => performance.now() * 1000,
    pause: () => void machine.step(BUDGET),
  };
  const { station } = ixgbeStation(setup, machine.guests.length);
  host.onMessage = (data) => station.message(data);
  return () => {
    machine.step(BUDGET);
    station.turn();
  };
}
