import {
  FrameBurst,
  FramePool,
  guestDma,
  isBreakdown,
  type NetDriver,
  openNetDriver,
  openPollDriver,
  type PollNetDriver,
  SENT,
} from '@ringwire/guest-drivers';
import { HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { PeerMemory } from '@ringwire/peer-memory';
import { openVhostUserTransport, SharedRam, type VhostUserTransport } from '@ringwire/vhost-user';

const RAM = { gpa: 0x1_0000_0000, size: 0x200_0000 };
const HOST_BYTES = 0x400_0000;
const BURST = 32;
const POOL_BUFFERS = 2048;
/** Time for a back-end to answer, on a machine that does something else as well. */
const REPLY_MS = 60_000;

export type GuestKind = 'poll-mode' | 'interrupt-driven';

/** A driver of this project's in front of a back-end of somebody else's. */
export interface FrontEndGuest {
  readonly transport: VhostUserTransport;
  /** Frames that came in, in their order, and the queue pair that each came on. */
  readonly heard: Uint8Array[];
  readonly heardOn: number[];
  /** Frames that were sent, for whoever counts them. */
  sent: number;
  /** Send frames from number `from` on, on a queue pair of a poll-mode driver's. @returns how many were taken */
  send(frames: readonly Uint8Array[], from: number, pair?: number): number;
  /** Take what came in, and what else there is to do. */
  turn(): void;
  /** @returns what the device did wrong */
  close(): string | undefined;
}

/** @throws Error, with the reason, where there is no device. @param pairs of queues of a poll-mode driver's */
export function openGuest(
  kind: GuestKind,
  path: string,
  features: Uint32Array,
  mac: Uint8Array,
  pairs = 1,
): FrontEndGuest {
  const host = HostMemory.create(HOST_BYTES);
  const ram = new SharedRam(new PeerMemory(host, 0, host.size), [RAM]);
  const transport = openVhostUserTransport({ path, ram, mac, pairs, replyMs: REPLY_MS });
  if (isBreakdown(transport)) throw new Error(transport.message);
  return kind === 'poll-mode'
    ? new PollGuest(transport, ram, features, pairs)
    : new KernelGuest(transport, ram, features);
}

const dmaOf = (ram: SharedRam): ReturnType<typeof guestDma> =>
  guestDma(ram.space, new PageAllocator(RAM.gpa, RAM.size));

class PollGuest implements FrontEndGuest {
  readonly transport: VhostUserTransport;
  readonly heard: Uint8Array[] = [];
  readonly heardOn: number[] = [];
  sent = 0;
  private readonly ram: SharedRam;
  private readonly pool: FramePool;
  private readonly driver: PollNetDriver;
  private readonly out: FrameBurst = new FrameBurst(BURST);
  private readonly back: FrameBurst = new FrameBurst(BURST);

  constructor(transport: VhostUserTransport, ram: SharedRam, features: Uint32Array, pairs: number) {
    this.transport = transport;
    this.ram = ram;
    const dma = dmaOf(ram);
    this.pool = new FramePool(dma, { buffers: POOL_BUFFERS, dataBytes: 2048 });
    const driver = openPollDriver({ transport, dma, pool: this.pool, features, pairs });
    if (isBreakdown(driver)) throw new Error(`${driver.message}; ${transport.problem}`);
    this.driver = driver;
  }

  send(frames: readonly Uint8Array[], from: number, pair = 0): number {
    const { out, pool, driver } = this;
    // A command says how many pairs there are to be, and takes its time.
    if (pair >= driver.activePairs) return 0;
    out.clear();
    for (const frame of frames.slice(from, from + BURST)) {
      const first = pool.fill(frame);
      if (first < 0) break;
      out.push(first, frame.length);
    }
    const taken = driver.txBurst(pair, out);
    for (let at = taken; at < out.count; at++) pool.put(out.frame[at]!);
    return taken;
  }

  turn(): void {
    const { back, pool, driver } = this;
    for (let pair = 0; pair < driver.pairs; pair++) {
      driver.rxBurst(pair, back);
      for (let at = 0; at < back.count; at++) {
        this.heard.push(pool.read(back.frame[at]!));
        this.heardOn.push(pair);
        pool.put(back.frame[at]!);
      }
      back.clear();
    }
    driver.pollCommands();
    this.transport.takeInterrupts();
  }

  close(): string | undefined {
    const why = this.driver.check() ?? this.driver.close();
    this.transport.close();
    this.ram.close();
    return why?.message;
  }
}

class KernelGuest implements FrontEndGuest {
  readonly transport: VhostUserTransport;
  readonly heard: Uint8Array[] = [];
  readonly heardOn: number[] = [];
  sent = 0;
  private readonly ram: SharedRam;
  private readonly driver: NetDriver;
  private problem: string | undefined;

  constructor(transport: VhostUserTransport, ram: SharedRam, features: Uint32Array) {
    this.transport = transport;
    this.ram = ram;
    const driver = openNetDriver({
      transport,
      dma: dmaOf(ram),
      features,
      now: () => performance.now(),
      events: {
        frame: (frame) => {
          this.heard.push(frame.bytes());
          this.heardOn.push(0);
        },
        broken: ({ message }) => {
          this.problem = message;
        },
      },
    });
    if (isBreakdown(driver)) throw new Error(`${driver.message}; ${transport.problem}`);
    this.driver = driver;
  }

  send(frames: readonly Uint8Array[], from: number): number {
    let taken = 0;
    while (taken < BURST && from + taken < frames.length && this.driver.sendBytes(frames[from + taken]!) === SENT.OK)
      taken++;
    return taken;
  }

  turn(): void {
    this.transport.takeInterrupts((vector) => this.driver.interrupt(vector));
    while (this.driver.needsPoll) this.driver.poll();
  }

  close(): string | undefined {
    this.driver.watch();
    this.driver.close();
    this.transport.close();
    this.ram.close();
    return this.problem;
  }
}
