import type { AddressSpace } from '@ringwire/guest-memory';
import { formatChange, GuardedGuest, type GuardedRegion, type GuestRange } from '@ringwire/guest-memory/testing';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { expect } from 'vitest';
import { ChainBurst } from '../chain-burst.js';
import type { DeviceQueue } from '../device-queue.js';
import { openDeviceQueue } from '../open-queue.js';
import { CHAIN_FAULT, faultName, type QueueCounters, RING_FAULT } from '../queue-fault.js';
import { isRefusal, type QueueConfig } from '../queue-layout.js';
import type { QueueState } from '../queue-state.js';
import { deviceTurn, PAYLOAD, type Turn } from './device-turn.js';
import { type HandPacked, type HandSplit, handRing, type Layout } from './hand-ring.js';
import { type RingPlace, WRITE } from './ring-bytes.js';
import { watchNewTables } from './watched-tables.js';

/**
 * The guest of the device's tests. Rings and buffers lie in RAM; SEAM is where it goes on in another allocation of the
 * host, HOLE where it stops for 16 KiB, END where it stops for good. ROM lies by itself.
 */
export const AT = {
  rom: 0x8000,
  desc: 0x1_0000,
  driver: 0x1_1000,
  device: 0x1_2000,
  tables: 0x1_4000,
  buffers: 0x1_8000,
  probe: 0x1_f000,
  seam: 0x2_0000,
  hole: 0x2_4000,
  behindHole: 0x2_8000,
  end: 0x2_c000,
} as const;

const REGIONS: readonly GuardedRegion[] = [
  { gpa: AT.rom, size: 0x1000, readOnly: true },
  { gpa: AT.desc, size: AT.seam - AT.desc },
  { gpa: AT.seam, size: AT.hole - AT.seam },
  { gpa: AT.behindHole, size: AT.end - AT.behindHole },
];

export interface BenchOptions {
  /** Queue Size; 8 unless given. */
  readonly size?: number;
  /** Feature bits besides RING_PACKED; INDIRECT_DESC unless given. */
  readonly features?: readonly number[];
  /** More RAM, and a queue that lies elsewhere. */
  readonly moreRam?: readonly GuardedRegion[];
  readonly place?: RingPlace;
  /** Chains of a burst; 16 unless given. */
  readonly burst?: number;
  /** What the device reaches memory through, in place of the guest's own space. */
  readonly wrapSpace?: (space: AddressSpace) => AddressSpace;
}

/** A device queue with everything around it that a case, hostile ones above all, is judged by. */
export class DeviceBench<R extends HandSplit | HandPacked = HandSplit | HandPacked> {
  readonly guest: GuardedGuest;
  readonly ring: R;
  readonly config: QueueConfig;
  readonly burst: ChainBurst;
  queue: DeviceQueue;
  private tableProblems: string[] = [];
  private readonly burstProblems: string[] = [];

  constructor(layout: R['layout'], options: BenchOptions = {}) {
    const { size = 8, features = [VIRTIO_F.INDIRECT_DESC], place = AT } = options;
    this.guest = new GuardedGuest([...REGIONS, ...(options.moreRam ?? [])], { patternedRam: true });
    this.ring = handRing(layout as Layout, this.guest, size, place) as R;
    this.burst = watchNewTables(this.burstProblems, () => new ChainBurst(options.burst ?? 16));
    this.config = {
      space: options.wrapSpace?.(this.guest.space) ?? this.guest.space,
      size,
      desc: place.desc,
      driver: place.driver,
      device: place.device,
      features: featureWords(layout === 'packed' ? [VIRTIO_F.RING_PACKED, ...features] : features),
    };
    this.queue = this.open();
  }

  /** Open the queue, for the first time or after a reset of the ring. */
  open(state?: QueueState): DeviceQueue {
    this.tableProblems = [];
    const queue = watchNewTables(this.tableProblems, () => openDeviceQueue(this.config, state));
    if (isRefusal(queue)) throw new Error(queue.message);
    this.queue = queue;
    return queue;
  }

  /** One turn of the device; writes inside its private tables are checked. */
  turn(): Turn {
    const turn = deviceTurn(this.guest.memory, this.queue, this.burst);
    expect([...this.tableProblems, ...this.burstProblems]).toEqual([]);
    // No segments but those of its chains.
    expect(this.burst.segments.count).toBe(this.burst.count === 0 ? 0 : this.burst.end(this.burst.count - 1));
    return turn;
  }

  /** The attack that lies in the ring is one chain, given up for this reason and completed with length 0. */
  expectDrop(fault: number, id: number): void {
    const since = this.guest.snapshot();
    const before = faultCounts(this.queue.counters);
    const turn = this.turn();
    expect(turn.faults.map((code) => faultName(CHAIN_FAULT, code))).toEqual([faultName(CHAIN_FAULT, fault)]);
    expect(turn.sent).toEqual([]);
    expect(this.ring.collect()).toEqual([{ id, len: 0 }]);
    expect(raised(before, this.queue.counters)).toEqual([faultName(CHAIN_FAULT, fault)]);
    this.expectUntouched(since, this.ring.deviceBytes());
    this.expectProbe();
  }

  /** The attack that lies in the ring stops the queue, which then touches nothing, until it is opened again. */
  expectReset(fault: number): void {
    const since = this.guest.snapshot();
    const before = faultCounts(this.queue.counters);
    this.turn();
    expect(faultName(RING_FAULT, this.queue.ringFault)).toBe(faultName(RING_FAULT, fault));
    expect(this.turn()).toEqual({ taken: 0, sent: [], faults: [], notify: false });
    expect(this.queue.hasAvailable()).toBe(false);
    expect(this.queue.enableNotifications()).toBe(false);
    this.queue.disableNotifications();
    expect(raised(before, this.queue.counters)).toEqual([faultName(RING_FAULT, fault)]);
    this.expectUntouched(since, []);
    this.reset();
    this.expectProbe();
  }

  /** The attack that lies in the ring is legal: these bytes are sent, these buffers used, no fault counted. */
  expectAllowed(
    sent: readonly Uint8Array[],
    used: readonly { id: number; len: number }[],
    writable: GuestRange[] = [],
  ): Turn {
    const since = this.guest.snapshot();
    const before = faultCounts(this.queue.counters);
    const turn = this.turn();
    expect(turn.sent).toEqual(sent);
    expect(this.ring.collect()).toEqual(used);
    expect(raised(before, this.queue.counters)).toEqual([]);
    this.expectUntouched(since, [...this.ring.deviceBytes(), ...writable]);
    this.expectProbe();
    return turn;
  }

  /** After-care: good buffers, one to send and one to fill, are used as they should be. */
  expectProbe(): void {
    const bytes = PAYLOAD.subarray(0, 32);
    this.guest.write(AT.probe, bytes);
    const two = [
      { addr: AT.probe, len: 20 },
      { addr: AT.probe + 20, len: 12 },
    ];
    const sent = this.ring.offer(this.config.size > 1 ? two : [{ addr: AT.probe, len: 32 }]);
    expect(this.turn().sent).toEqual([bytes]);
    expect(this.ring.collect()).toEqual([{ id: sent, len: 0 }]);
    const filled = this.ring.offer([{ addr: AT.probe + 0x100, len: 40, flags: WRITE }]);
    const since = this.guest.snapshot();
    this.turn();
    expect(this.ring.collect()).toEqual([{ id: filled, len: 40 }]);
    expect(this.guest.read(AT.probe + 0x100, 40)).toEqual(PAYLOAD.subarray(0, 40));
    this.expectUntouched(since, [...this.ring.deviceBytes(), { gpa: AT.probe + 0x100, length: 40 }]);
  }

  /** A reset by the driver: rings of zeros, and the queue opened again. */
  reset(): void {
    this.queue.stop();
    this.ring.reset();
    this.open();
  }

  expectUntouched(since: ReturnType<GuardedGuest['snapshot']>, allowed: readonly GuestRange[]): void {
    expect(this.guest.changesOutside(since, allowed).map(formatChange)).toEqual([]);
  }
}

function faultCounts({ chainFaults, ringFaults }: QueueCounters): number[][] {
  return [[...chainFaults], [...ringFaults]];
}

/** Names of the fault counters that went up, once per step. */
function raised(before: readonly number[][], counters: QueueCounters): string[] {
  return faultCounts(counters).flatMap((counts, table) =>
    counts.flatMap((count, code) => {
      const name = faultName(table === 0 ? CHAIN_FAULT : RING_FAULT, code);
      return Array<string>(count - before[table]![code]!).fill(name);
    }),
  );
}
