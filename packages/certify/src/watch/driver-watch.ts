import type { QueueSetup } from '@ringwire/guest-drivers';
import { DEVICE_STATUS, FEATURE_WORDS, hasFeature, isPvirtqSize, VIRTIO_F } from '@ringwire/virtio-spec';
import type { StatementId } from '../statements.js';
import type { Verdict } from '../verdict.js';
import { judgeAccepted } from './accepted-features.js';
import { judgeConfigRead } from './config-reads.js';
import type { RingWatch } from './ring-watch.js';
import type { Twist } from './twist.js';

const { ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, SUSPEND, DEVICE_NEEDS_RESET, FAILED } = DEVICE_STATUS;
/** Steps of virtio 1.4 §3.1.1 in their order, and the statement that asks for each. */
const STEPS: readonly (readonly [name: string, bit: number, id: StatementId])[] = [
  ['ACKNOWLEDGE', ACKNOWLEDGE, 'drv.basic.init.3'],
  ['DRIVER', DRIVER, 'drv.basic.init.4'],
  ['FEATURES_OK', FEATURES_OK, 'drv.basic.init.8'],
  ['DRIVER_OK', DRIVER_OK, 'drv.basic.init.12'],
];
/** Register accesses of one call that no driver needs: whoever makes more waits for something that does not come. */
const ACCESSES_MAX = 1_000_000;

/** A driver that does not come to an end. */
export class DriverHangs extends Error {
  override readonly name = 'DriverHangs';
}

/** How a driver reaches its device. */
export type TransportKind = 'pci' | 'mmio' | 'vdpa';

/** What makes the watch of a queue that was enabled. */
export type OpenRing = (index: number, setup: QueueSetup, features: Uint32Array) => RingWatch;

/**
 * A driver's life as its register accesses show it, whatever the transport: initialization, negotiation, configuration, queues
 * and resets. Adapters of each transport say what the driver does; what they return is what the driver is shown.
 */
export class DriverWatch {
  readonly verdict: Verdict;
  readonly twist: Twist;
  readonly kind: TransportKind;
  /** Feature words that the driver saw on offer, and accepted. */
  readonly offered: Uint32Array = new Uint32Array(FEATURE_WORDS);
  readonly accepted: Uint32Array = new Uint32Array(FEATURE_WORDS);
  readonly rings: Map<number, RingWatch> = new Map();
  /** The address, as the driver read it last. */
  readonly shownMac: Uint8Array = new Uint8Array(6);
  /** Times that the driver reset the device. */
  resets = 0;
  /** Whether FAILED was set since the watch began. */
  hasFailed = false;
  private readonly openRing: OpenRing;
  /** As the driver wrote it last. */
  private status = 0;
  private hasReset = false;
  /** The reset was seen to end, or there was none to wait for. */
  private hasSettled = true;
  private hasReadFeatures = false;
  private hasConfirmed = false;
  private isRefused = false;
  private accesses = 0;
  /** The one of SUSPEND and DRIVER_OK that the status has to show before the driver knows that it is so. */
  private awaited = 0;

  constructor(verdict: Verdict, twist: Twist, kind: TransportKind, openRing: OpenRing) {
    this.verdict = verdict;
    this.twist = twist;
    this.kind = kind;
    this.openRing = openRing;
  }

  /** Whether the device runs for all that the driver has said. */
  get isRunning(): boolean {
    return (this.status & (DRIVER_OK | FAILED)) === DRIVER_OK;
  }

  private get isSuspended(): boolean {
    return (this.status & SUSPEND) !== 0;
  }

  /** Whether a device that has buffers of the driver's may still use them. */
  get isLive(): boolean {
    return this.rings.size > 0 || !this.hasSettled;
  }

  has(bit: number): boolean {
    return (this.status & FEATURES_OK) !== 0 && hasFeature(this.accepted, bit);
  }

  /** The driver gets its turn. */
  begin(): void {
    this.accesses = 0;
  }

  /** @throws DriverHangs for a driver that does nothing else */
  access(): void {
    if (++this.accesses > ACCESSES_MAX)
      throw new DriverHangs(`the driver made ${ACCESSES_MAX} register accesses in one call`);
  }

  statusWritten(value: number): void {
    if (value === 0) this.reset();
    else this.setStatus(value);
  }

  statusRead(actual: number): number {
    const shown = this.twist.status(actual);
    if (shown === 0) this.hasSettled = true;
    if ((shown & (SUSPEND | DRIVER_OK)) === this.awaited) this.awaited = 0;
    if ((this.status & FEATURES_OK) !== 0) {
      this.hasConfirmed = true;
      this.isRefused = (shown & FEATURES_OK) === 0;
    }
    return shown;
  }

  offeredRead(word: number, actual: number): number {
    const shown = this.twist.offered(word, actual);
    if (word < FEATURE_WORDS) this.offered[word] = shown;
    this.hasReadFeatures = true;
    return shown;
  }

  acceptedWritten(word: number, bits: number): void {
    const { verdict } = this;
    const isLate = (this.status & FEATURES_OK) !== 0;
    if (!isLate && word < FEATURE_WORDS) this.accepted[word] = bits;
    verdict.judge('drv.basic.init.9', !isLate, `feature word ${word} is written behind FEATURES_OK`);
    verdict.judge('drv.basic.init.5', this.hasReadFeatures, 'features are written before any were read');
  }

  configRead(at: number, bytes: number, actual: number): number {
    const shown = this.twist.configBytes(at, bytes, actual);
    judgeConfigRead(this.verdict, this.offered, this.hasReadFeatures, at, bytes);
    const { shownMac } = this;
    for (let i = 0; i < bytes && at + i < shownMac.length; i++) shownMac[at + i] = shown / 2 ** (8 * i);
    return shown;
  }

  configWritten(at: number): void {
    const message = `the driver writes configuration byte ${at}`;
    this.verdict.break('drv.net.config.1', message);
    if ((this.status & FEATURES_OK) === 0) this.verdict.break('drv.basic.init.7', `${message} ahead of FEATURES_OK`);
    if ((this.status & SUSPEND) !== 0) this.verdict.break('drv.basic.suspend.5', `${message} while suspended`);
  }

  generationRead(actual: number): number {
    return this.twist.generation(actual);
  }

  queueEnabled(index: number, setup: QueueSetup): void {
    const { verdict, status } = this;
    const isReady = (status & FEATURES_OK) !== 0 && this.hasConfirmed && !this.isRefused;
    verdict.judge('drv.basic.init.1', isReady, `queue ${index} is enabled before FEATURES_OK was set and read back`);
    if (isPlace(setup)) this.rings.set(index, this.openRing(index, setup, this.accepted));
    else {
      const { size, desc, driver, device } = setup;
      const id = this.has(VIRTIO_F.RING_PACKED) ? 'ring.packed.part-unmapped' : 'ring.split.part-unmapped';
      verdict.break(id, `queue ${index} has size ${size} and parts at ${desc}, ${driver} and ${device}: no memory`);
    }
  }

  queueStopped(index: number): void {
    this.rings.get(index)?.lookDriver();
    this.rings.delete(index);
  }

  /** @param data as sent with NOTIFICATION_DATA; undefined without */
  notified(index: number, data: number | undefined): void {
    const { verdict, status } = this;
    const isRunning = (status & DRIVER_OK) !== 0;
    const when = this.hasReset && status === 0 ? 'after the device was reset' : 'ahead of DRIVER_OK';
    verdict.judge('drv.basic.init.15', isRunning, `queue ${index} is notified ${when}: device_status is ${status}`);
    if (this.isSuspended) verdict.break('drv.basic.suspend.4', `queue ${index} is notified while suspended`);
    if (isRunning) this.rings.get(index)?.notified(data);
  }

  /** A buffer is made available. */
  exposed(queue: number): void {
    if (this.isSuspended) this.verdict.break('drv.basic.suspend.3', `queue ${queue} gets a buffer while suspended`);
  }

  /** The driver did what it was asked for. */
  commanded(what: 'suspend' | 'resume' | 'restart'): void {
    const isKnown = this.awaited === 0;
    if (what === 'suspend') {
      const message = 'device_status was not read until SUSPEND was set and DRIVER_OK was not';
      this.verdict.judge('drv.basic.suspend.2', isKnown, message);
    } else if (what === 'resume') {
      const message = 'device_status was not read until DRIVER_OK was set and SUSPEND was not';
      this.verdict.judge('drv.basic.suspend.6', isKnown, message);
      // Whatever happened meanwhile is broken already.
      for (const number of [3, 4, 5] as const) this.verdict.keep(`drv.basic.suspend.${number}`);
    }
  }

  /** A queue is set up after its reset. @param isDone whether the reset was seen to end */
  queueReenabled(index: number, isDone: boolean): void {
    const message = `queue ${index} is enabled again before its reset was seen to end`;
    this.verdict.judge('drv.basic.vq-reset.1', isDone, message);
    this.verdict.keep('drv.basic.vq-reenable.1');
    if (this.kind === 'pci') this.verdict.judge('drv.pci.common-cfg.7', isDone, message);
    if (this.kind === 'mmio') this.verdict.judge('drv.mmio.registers.21', isDone, message);
  }

  /** The driver's turn is over: what it made available and known is looked at. */
  turnOver(): void {
    for (const ring of this.rings.values()) {
      if (this.isRunning) ring.turnOver();
      else ring.lookDriver();
    }
  }

  private reset(): void {
    for (const ring of this.rings.values()) ring.lookDriver();
    this.rings.clear();
    this.twist.reset(this.status);
    this.status = 0;
    this.resets++;
    this.hasReset = true;
    this.hasSettled = false;
    this.hasReadFeatures = false;
    this.hasConfirmed = false;
    this.isRefused = false;
    this.awaited = 0;
    this.accepted.fill(0);
    this.offered.fill(0);
  }

  private setStatus(value: number): void {
    const { verdict, status } = this;
    const fresh = value & ~status;
    if ((fresh & FAILED) !== 0) this.hasFailed = true;
    this.judgeTakenBack(value);
    if ((status & FAILED) !== 0 && (fresh & ~FAILED & ~DEVICE_NEEDS_RESET) !== 0)
      verdict.break('drv.basic.status.3', `device_status ${value} is written behind FAILED, want a reset first`);
    const isBeginning = status === 0 && fresh !== FAILED;
    if (isBeginning) {
      verdict.judge('drv.basic.init.2', this.hasReset, `device_status ${value} is written before the device was reset`);
      if (this.hasReset) this.judgeSettled(value);
      this.twist.begin();
    }
    for (const [place, [name, bit, id]] of STEPS.entries()) {
      if ((fresh & bit) === 0) continue;
      const missed = STEPS.slice(0, place).find(
        ([, before]) => (value & before) === 0 && (bit !== DRIVER_OK || (status & SUSPEND) === 0),
      );
      if (missed === undefined) verdict.keep(id);
      else verdict.break(missed[2], `${name} is set, device_status ${value}, without ${missed[0]}`);
      verdict.judge(
        'drv.basic.init.1',
        missed === undefined,
        `${name} is set, device_status ${value}, without ${missed?.[0]}`,
      );
      if (bit === FEATURES_OK) judgeAccepted(this);
      if (bit === DRIVER_OK && (status & SUSPEND) === 0) this.judgeReady();
    }
    if ((fresh & SUSPEND) !== 0) {
      const isAllowed = (status & DRIVER_OK) !== 0 && hasFeature(this.accepted, VIRTIO_F.SUSPEND);
      verdict.judge('drv.basic.suspend.1', isAllowed, 'SUSPEND is set without DRIVER_OK or without the feature');
      this.awaited = SUSPEND;
    } else if ((status & ~value & SUSPEND) !== 0) this.awaited = DRIVER_OK;
    this.status = value & ~DEVICE_NEEDS_RESET;
  }

  private judgeSettled(value: number): void {
    const message = `device_status ${value} is written before the reset was seen to end: it never read 0`;
    const id = this.kind === 'pci' ? 'drv.pci.common-cfg.5' : 'drv.basic.reset.1';
    this.verdict.judge(id, this.hasSettled, message);
  }

  private judgeTakenBack(value: number): void {
    const { status } = this;
    // Suspending and resuming, the two bits take turns.
    const turns = ((status | value) & SUSPEND) !== 0 ? SUSPEND | DRIVER_OK : 0;
    const gone = status & ~value & ~turns;
    this.verdict.judge('drv.basic.status.2', gone === 0, `device_status ${value} takes back ${gone} of ${status}`);
    this.verdict.keep('drv.basic.status.1');
  }

  /** DRIVER_OK: everything has to be there. */
  private judgeReady(): void {
    const { verdict, rings } = this;
    const why = !this.hasConfirmed
      ? 'DRIVER_OK is set, and device_status was not read back after FEATURES_OK'
      : 'DRIVER_OK is set, although FEATURES_OK did not stick';
    verdict.judge('drv.basic.init.10', this.hasConfirmed && !this.isRefused, why);
    if (this.isRefused) verdict.break('drv.basic.init.14', why);
    // Whatever was written before is broken already.
    for (const id of ['drv.basic.init.7', 'drv.net.config.1'] as const) verdict.keep(id);
    const missing = [0, 1].filter((index) => !rings.has(index));
    verdict.judge('drv.basic.init.11', missing.length === 0, `DRIVER_OK is set before queue ${missing} is enabled`);
  }
}

/** Whether there can be a queue: a size that is one, and addresses of memory. */
const isPlace = ({ size, desc, driver, device }: QueueSetup): boolean =>
  isPvirtqSize(size) && [desc, driver, device].every((address) => Number.isSafeInteger(address) && address >= 0);
