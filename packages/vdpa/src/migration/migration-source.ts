import { DEVICE_STATUS } from '@ringwire/virtio-spec';
import type { VdpaDevice } from '../vdpa-device.js';
import { VDPA, vdpaOutcomeName } from '../vdpa-outcome.js';
import { isImageRefusal, type QueuePlace } from './device-image.js';
import { encodeImage } from './encode-image.js';
import type { GuestPages } from './guest-pages.js';
import type { HandoverClaim } from './handover-claim.js';
import { encodeHello } from './hello.js';
import { saveImage } from './move-image.js';
import { sourceObstacles } from './move-obstacles.js';
import { encodeMappings, MAPPINGS_PER_RECORD, mappingsOf } from './moved-mappings.js';
import { PreCopy, type PreCopyEnd, type PreCopyRound, type PreCopyRules } from './pre-copy.js';
import { RECORD_TYPE } from './record-layout.js';
import { type MoveRecord, RecordReader, RecordWriter } from './record-stream.js';
import { textBytes, textIn } from './record-text.js';
import type { WrittenSource } from './written-sources.js';

const T = RECORD_TYPE;
const RULES: PreCopyRules = { rounds: 30, pagesLeft: 32, patience: 3 };
/** Pages of a turn. */
const BUDGET = 256;
/** Turns in which a device may be too busy to be suspended. */
const SUSPEND_TRIES = 1000;

/** The guest that is to go, and where to. */
export interface MigrationSourceConfig {
  readonly device: VdpaDevice;
  /** The queues that are ready by now, where the driver put them: asked when the device stands still. */
  readonly places: () => readonly QueuePlace[];
  /** The guest's memory. */
  readonly ram: GuestPages;
  /** Who writes it besides the device. */
  readonly written?: readonly WrittenSource[];
  /** Hand bytes to the connection, which keeps their order. They are good during the call. */
  readonly send: (bytes: Uint8Array) => void;
  readonly claim: HandoverClaim;
  /** The guest's processors stand still, and go on: around the last copy. */
  readonly pauseGuest?: () => void;
  readonly resumeGuest?: () => void;
  /** An interrupt of the driver's: when the device goes on here, both sides of each queue look again. */
  readonly notifyDriver?: (index: number) => void;
  readonly rules?: Partial<PreCopyRules>;
  /** A clock in µs that never goes back. */
  readonly now?: () => number;
}

/** Where a source stands. `moved`: the target runs. `stayed`: this side runs. */
export type SourceState = 'asking' | 'copying' | 'stopping' | 'waiting' | 'moved' | 'stayed';

/** What a move was. */
export interface MoveReport {
  readonly rounds: readonly PreCopyRound[];
  readonly endedBy: PreCopyEnd | undefined;
  /** Pages that were copied while the guest stood still. */
  readonly lastPages: number;
  readonly bytes: number;
  /** µs from the guest's pause until it ran again, there or here. */
  readonly downtime: number;
}

/**
 * The side of a move that a guest leaves: its memory is copied while it runs, then it stands still for the rest. It runs on here
 * unless the other side has the claim, whatever becomes of the connection or of either program.
 */
export class MigrationSource {
  state: SourceState = 'asking';
  /** Why the guest stayed. */
  problem: string | undefined = undefined;
  private readonly config: MigrationSourceConfig;
  private readonly writer = new RecordWriter();
  private readonly reader = new RecordReader();
  private readonly preCopy: PreCopy;
  private readonly now: () => number;
  private bytes = 0;
  private lastPages = 0;
  private tries = 0;
  private isPaused = false;
  private pausedAt = 0;
  private downtime = 0;

  constructor(config: MigrationSourceConfig) {
    this.config = config;
    this.now = config.now ?? (() => 0);
    const { ram, device, written = [], rules } = config;
    this.preCopy = new PreCopy({
      ram,
      device,
      written,
      rules: { ...RULES, ...rules },
      send: (type, ...parts) => this.send(type, ...parts),
    });
  }

  get report(): MoveReport {
    const { rounds, endedBy } = this.preCopy;
    return { rounds, endedBy, lastPages: this.lastPages, bytes: this.bytes, downtime: this.downtime };
  }

  /** Whether the move is over, one way or the other. */
  get isOver(): boolean {
    return this.state === 'moved' || this.state === 'stayed';
  }

  /** Ask the target. What of this side stands in the way is said at once, and nothing is sent. */
  begin(): void {
    const { device, places, ram } = this.config;
    const [obstacle] = sourceObstacles(device, true);
    if (obstacle !== undefined) this.stay(obstacle);
    else this.send(T.HELLO, encodeHello(device, places(), ram));
  }

  /**
   * Do some of the work: to be called while the guest runs, between its turns.
   * @param budget pages at most, unless the guest stands still
   * @returns pages and records that were sent
   */
  turn(budget: number = BUDGET): number {
    if (this.state === 'copying') {
      const done = this.preCopy.turn(budget);
      if (this.preCopy.endedBy !== undefined && this.state === 'copying') this.state = 'stopping';
      return done;
    }
    return this.state === 'stopping' ? this.handOver() : 0;
  }

  /** What the target says, foreign. */
  receive(bytes: Uint8Array): void {
    for (const record of this.reader.read(bytes)) {
      if (this.isOver) return;
      this.take(record);
    }
    if (this.reader.problem !== undefined && !this.isOver) this.stay(`the target says: ${this.reader.problem}`);
  }

  /** The connection is gone, or this program died and another one looks after what is left. */
  lost(): void {
    if (!this.isOver) this.stay('the connection was lost');
  }

  private take({ type, content }: MoveRecord): void {
    const { state } = this;
    if (type === T.ACCEPT && state === 'asking') this.copy();
    else if (type === T.STARTED && state === 'waiting') this.leave();
    else if (type === T.REFUSE) this.stay(`the target refuses: ${textIn(content)}`);
    else this.stay(`the target sends record ${type} while the source is ${state}`);
  }

  private copy(): void {
    const outcome = this.config.device.trackDirty(true);
    if (outcome === VDPA.OK) this.state = 'copying';
    else this.stay(`tracking what the device writes ends with ${vdpaOutcomeName(outcome)}`);
  }

  /** Everything stands still, and what is left is sent. */
  private handOver(): number {
    const { device, ram, places } = this.config;
    this.pause();
    const outcome = device.suspend();
    if (outcome === VDPA.BUSY && this.tries++ < SUSPEND_TRIES) return 0;
    if (outcome !== VDPA.OK) {
      this.stay(`suspending the device ends with ${vdpaOutcomeName(outcome)}`);
      return 0;
    }
    this.lastPages = this.preCopy.finish();
    const mappings = mappingsOf(device, ram);
    const image = isStarted(device) || device.status !== 0 ? saveImage(device, places()) : saveImage(device, []);
    const refused = [mappings, image].find(isImageRefusal);
    if (refused !== undefined || isImageRefusal(mappings) || isImageRefusal(image)) {
      this.stay(refused!.refusal);
      return this.lastPages;
    }
    for (let at = 0; at < mappings.length; at += MAPPINGS_PER_RECORD)
      this.send(T.MAPPINGS, encodeMappings(mappings.slice(at, at + MAPPINGS_PER_RECORD)));
    this.send(T.DEVICE, encodeImage(image));
    // Before END: the answer may come while it is sent.
    this.state = 'waiting';
    this.send(T.END);
    return this.lastPages + 1;
  }

  private pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.pausedAt = this.now();
    this.config.pauseGuest?.();
  }

  /** The target runs: nothing here touches the guest's memory any more. */
  private leave(): void {
    this.config.device.reset();
    this.config.device.trackDirty(false);
    this.downtime = this.now() - this.pausedAt;
    this.state = 'moved';
  }

  /** The guest goes on here, unless it does so there. It may be done twice: whoever did it first may have died over it. */
  private stay(problem: string): void {
    const { device, claim, resumeGuest, notifyDriver } = this.config;
    // Where the target has the claim, it runs, whether or not it could say so.
    if (!claim.take('source')) {
      this.leave();
      return;
    }
    device.trackDirty(false);
    if (device.isSuspended) device.resume();
    if (this.isPaused) {
      resumeGuest?.();
      this.downtime = this.now() - this.pausedAt;
      for (let index = 0; index < device.queueCount; index++) {
        if (!device.queueReady(index)) continue;
        device.kick(index);
        notifyDriver?.(index);
      }
    }
    this.problem = problem;
    this.state = 'stayed';
    // The target may as well stop waiting, if it is there.
    this.send(T.REFUSE, textBytes(problem));
  }

  private send(type: number, ...parts: readonly Uint8Array[]): void {
    const record = this.writer.write(type, ...parts);
    this.bytes += record.length;
    this.config.send(record);
  }
}

const isStarted = ({ status }: VdpaDevice): boolean => (status & DEVICE_STATUS.DRIVER_OK) !== 0;
