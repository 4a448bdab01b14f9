import type { PeerMemory } from '@ringwire/peer-memory';
import {
  type DeviceModel,
  type DeviceSnapshot,
  type DeviceTrace,
  explainSnapshot,
  type Reason,
  SpaceReader,
  snapshotDevice,
  type Transport,
  VirtioDevice,
} from '@ringwire/virtio-device';
import { DEVICE_STATUS, FEATURE_WORDS } from '@ringwire/virtio-spec';
import { Interrupts } from './interrupts.js';
import { IovaSpace } from './iova-space.js';
import { LinuxVduse, type VduseKernel } from './kernel.js';
import { KernelRequests } from './kernel-requests.js';
import { Kicks } from './kicks.js';
import { type BadRequest, type Request, readRequest, response } from './messages.js';
import { VduseNode } from './node.js';
import { featuresOffered, type RingLayouts } from './offer.js';
import { ToldConfig } from './told-config.js';

/** How a {@link VduseDevice} is made. */
export interface VduseDeviceOptions {
  /** Names it in `/dev/vduse` and to `vdpa dev add`. */
  readonly name: string;
  /**
   * Of a type that Linux's VDUSE takes: network, block, file system. A network device has one pair of queues and no control
   * queue, nor what needs one: `without: [VIRTIO_NET_F.CTRL_VQ]`.
   */
  readonly model: DeviceModel;
  /** Where the driver's memory goes: 64 MiB and what its rings take, or the whole memory of a guest behind vhost-vdpa. */
  readonly memory: PeerMemory;
  /** Rings that are offered; of `packed`, drivers that want split ones are refused. Both unless given. */
  readonly rings?: RingLayouts;
  /** 0 unless given. */
  readonly vendorId?: number;
  /** This machine's unless given. */
  readonly kernel?: VduseKernel;
  /** A clock in µs that never goes back; the platform's unless given. */
  readonly now?: () => number;
  /** Another state is reached. @param features negotiated words 0–3 */
  readonly onState?: (state: VduseState, features: Uint32Array) => void;
  /** Something keeps the device from working, for people. */
  readonly onProblem?: (reason: string) => void;
  /** Is told of what device and transport do; nobody unless given. */
  readonly trace?: DeviceTrace;
}

/** `listening`: no driver. `connected`: a driver is at it. `running`: it works, features are negotiated. */
export type VduseState = 'listening' | 'connected' | 'running';

/** What happened since the device was made. */
export interface VduseCounters {
  /** Requests of the kernel, and those among them that were refused. */
  requests: number;
  refused: number;
  /** Interrupts that the kernel took. */
  interrupts: number;
}

/** Requests that are answered at a time, so that others get their turn. */
const REQUESTS_PER_TURN = 32;
const CUT = 'an address was used that its driver has taken away';

/**
 * A device of this process, given to the kernel that it runs on. Whatever the kernel's vDPA bus has a driver for may use it:
 * virtio-vdpa makes it a device of this machine's own, vhost-vdpa one for a guest.
 *
 * It has no thread: a loop waits for {@link fd}, says {@link ready}, and calls {@link pump}. The kernel's callers wait, for 30 s
 * and no longer, until it is answered; so whoever plugs it in (`vdpa dev add`) is not to be waited for here.
 */
export class VduseDevice {
  readonly name: string;
  /** The device itself, for snapshots and explanations. */
  readonly device: VirtioDevice;
  readonly counters: VduseCounters = { requests: 0, refused: 0, interrupts: 0 };
  /** Why the last request that was refused was. */
  refusal: string | undefined;
  private readonly node: VduseNode;
  private readonly space: IovaSpace;
  private readonly memory: PeerMemory;
  private readonly kicks: Kicks;
  private readonly interrupts: Interrupts;
  private readonly onState: NonNullable<VduseDeviceOptions['onState']>;
  private readonly onProblem: NonNullable<VduseDeviceOptions['onProblem']>;
  private readonly config: ToldConfig;
  private readonly requests: KernelRequests;
  private cutsSeen: number;
  private state: VduseState = 'listening';
  private lastProblem: string | undefined;
  /** The kernel gave the device up, or it was closed. */
  private isOver = false;
  /** What {@link close} said. */
  private isGone: boolean | undefined;
  /** Memory was touched that the driver had taken away, since the last reset. */
  private isCut = false;

  /**
   * Make the device, or take up one of that name whose process is gone. It is on the vDPA bus only when somebody puts it there.
   * @throws VduseError for a kernel that has none, with what to do; VirtioError for a device that there can't be
   */
  constructor(options: VduseDeviceOptions) {
    const { name, model, memory, rings = 'both', vendorId = 0, kernel = new LinuxVduse(), trace } = options;
    const { now = () => performance.now() * 1000, onState = () => {}, onProblem = () => {} } = options;
    this.name = name;
    this.memory = memory;
    this.cutsSeen = memory.cuts;
    this.onState = onState;
    this.onProblem = onProblem;
    const { words, bits } = featuresOffered(model, rings);
    const { deviceId, queueSizes, config } = model;
    this.node = VduseNode.open(kernel, { name, deviceId, vendorId, features: bits, queueSizes, config });
    this.config = new ToldConfig(this.node, config);
    this.space = new IovaSpace(memory, this.node);
    this.interrupts = new Interrupts(this.node, queueSizes.length, now);
    try {
      this.kicks = new Kicks(this.node);
    } catch (error) {
      this.node.close();
      throw error;
    }
    try {
      const parts = { model, space: this.space, translated: true, offer: words, now };
      this.device = new VirtioDevice(trace === undefined ? parts : { ...parts, trace }, this.transport());
      const { device, node, space, kicks, interrupts } = this;
      this.requests = new KernelRequests({ device, node, space, kicks, interrupts, layouts: rings });
      if (this.node.isTakenUp) this.takeUp();
    } catch (error) {
      this.letGo();
      throw error;
    }
  }

  /** To be waited for; -1 when there is nothing to wait for any more. */
  get fd(): number {
    return this.isOver ? -1 : this.kicks.fd;
  }

  /** Whether it had been left behind, and was taken up. */
  get isTakenUp(): boolean {
    return this.node.isTakenUp;
  }

  /** Accesses to addresses that the kernel has nothing at. */
  get faults(): number {
    return this.space.faults;
  }

  /** The device and its rings as data. */
  snapshot(): DeviceSnapshot {
    return snapshotDevice(this.device);
  }

  /** Why nothing moves through it, the most telling first, on its live rings. */
  explain(): Reason[] {
    return explainSnapshot(this.snapshot(), new SpaceReader(this.space));
  }

  /** The descriptor was found ready: notifications of the driver and requests of the kernel. */
  ready(): void {
    if (this.isOver) return;
    const { queues, hasRequest } = this.kicks.take();
    for (const queue of queues) this.device.notify(queue);
    if (!hasRequest) return;
    for (let left = REQUESTS_PER_TURN; left > 0; left--) {
      const bytes = this.node.read();
      if (bytes === undefined) {
        // Ready without a request: an error, which the kernel alone can have made.
        if (left === REQUESTS_PER_TURN) this.checkAlive();
        return;
      }
      this.answer(readRequest(bytes));
    }
  }

  /**
   * Do a bounded amount of work.
   * @param budget most chains per queue
   * @returns 0: nothing to do until {@link fd} is ready, a frame comes, or {@link deadline}
   */
  pump(budget: number): number {
    if (this.isOver) return 0;
    let done = 0;
    try {
      done = this.device.step(budget);
    } catch (error) {
      // Whatever a driver brings a device type to, it ends here.
      this.device.needsReset(`the device cannot go on: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (this.memory.cuts !== this.cutsSeen) this.lookAtCuts();
    this.counters.interrupts += this.interrupts.send();
    this.tell();
    return done;
  }

  /** When {@link pump} is to be called at the latest, in µs of the clock; Infinity when nothing waits. */
  deadline(): number {
    return this.isOver ? Number.POSITIVE_INFINITY : Math.min(this.device.deadline(), this.interrupts.deadline());
  }

  /**
   * Serve it no more. Off the vDPA bus it is gone; on it the kernel keeps it for the next one who serves it.
   * @returns whether it is gone
   */
  close(): boolean {
    this.isGone ??= this.letGo();
    return this.isGone;
  }

  private letGo(): boolean {
    this.isOver = true;
    // Not made where a constructor failed.
    (this.device as VirtioDevice | undefined)?.reset();
    this.kicks.close();
    this.space.clear();
    return this.node.close();
  }

  private answer(request: Request | BadRequest): void {
    this.counters.requests++;
    const answer = this.requests.answer(request);
    if (typeof answer === 'string') {
      this.counters.refused++;
      this.refusal = answer;
    }
    // Changes that no running driver was interrupted for: it reads them with what it does next.
    this.tellConfig();
    const { id } = request;
    if (id === undefined) return;
    if (typeof answer === 'object') this.node.write(response(id, true, answer.index, answer.state));
    else this.node.write(response(id, answer === undefined));
    this.tell();
  }

  /** The driver may have been at work all the time. */
  private takeUp(): void {
    const problem = this.requests.takeUp();
    if (problem !== undefined) this.problem(`left behind with a driver at work, and cannot be taken up: ${problem}`);
    this.tell();
  }

  private transport(): Transport {
    return {
      features: [],
      usedBuffer: (queue) => this.interrupts.owe(queue),
      configChange: () => {
        this.tellConfig();
        this.interrupts.oweConfig();
      },
      queueReset: () => {},
      reset: () => {},
      snapshot: () => ({
        kind: 'vdpa',
        suspended: false,
        queueSpaces: this.device.queues.map(() => 0),
        mappings: [this.space.count],
      }),
    };
  }

  private tellConfig(): void {
    const problem = this.config.tell();
    if (problem !== undefined) this.problem(`the configuration cannot be changed: ${problem}`);
  }

  private lookAtCuts(): void {
    this.cutsSeen = this.memory.cuts;
    this.isCut ||= this.space.wasCut();
    if (this.isCut) this.device.needsReset(CUT);
  }

  private checkAlive(): void {
    const features = this.node.features();
    if (typeof features !== 'string') return;
    this.device.reset();
    this.tell();
    this.isOver = true;
    this.problem(
      `not answered in time: the kernel has given the device up (${features}): "vdpa dev del ${this.name}", and start again`,
    );
  }

  private tell(): void {
    const { status, resetReason } = this.device;
    // A ring that reads as zeros is what comes of it.
    if (resetReason !== undefined) this.problem(`needs a reset: ${this.isCut ? CUT : resetReason}`);
    else if (status === 0) {
      this.lastProblem = undefined;
      this.isCut = false;
    }
    const isRunning = (status & DEVICE_STATUS.DRIVER_OK) !== 0 && resetReason === undefined;
    const state = isRunning ? 'running' : status === 0 ? 'listening' : 'connected';
    if (state === this.state) return;
    this.state = state;
    this.onState(
      state,
      Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => this.device.driverFeatures(word)),
    );
  }

  /** Tell people, once. */
  private problem(reason: string): void {
    if (reason === this.lastProblem) return;
    this.lastProblem = reason;
    this.onProblem(reason);
  }
}
