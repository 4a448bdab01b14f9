import type { AddressSpace, HostMemory } from '@ringwire/guest-memory';
import type { NetBackend } from '@ringwire/net-backend';
import { VB_FAULT, VB_MODE, VENDOR_B_COUNT } from '@ringwire/nic-spec/vendor-b';
import type { PciFunction } from '@ringwire/pci';
import type { FunctionCable, Personality, PhysicalPlace, VirtualPlace } from '@ringwire/sriov-nic';
import { VirtioPlane } from '@ringwire/sriov-nic';
import type { NetDeviceOptions } from '@ringwire/virtio-device';
import { AdminEngine } from './admin-engine.js';
import { monotonicMicroseconds } from './clock.js';
import { NativePlane } from './native-plane.js';
import { FunctionRegisters } from './registers.js';
import { restoreState, saveState } from './saved-state.js';
import { Station } from './station.js';
import type { VendorBCard } from './vendor-b-card.js';
import { vendorBCommand } from './vendor-b-commands.js';
import { newVendorBCounters, type VendorBCounters } from './vendor-b-counters.js';
import { vendorBPci } from './vendor-b-pci.js';

/** Index of the physical function. */
export const PHYSICAL = -1;
const EVENT_VECTOR = 0;

/** One function: what it has of its own. */
export type VendorBFunctionOptions = FunctionCable & {
  readonly memory: HostMemory;
  /** Host memory of the function's own, for the virtio data plane: `NET_SCRATCH_BYTES` of it. */
  readonly scratch: number;
  /** A frame without a buffer is left to its sender, rather than dropped as hardware does. */
  readonly holdWhenFull?: boolean;
  /** The rest of the virtio network device: offloads, trace. It has one pair, and queues of 256. */
  readonly net?: Partial<NetDeviceOptions>;
  /** There is work for {@link VendorBFunction.step}. Only to be noted. */
  readonly wake?: () => void;
  /** A clock in µs that never goes back; the platform's unless given. */
  readonly now?: () => number;
};

/**
 * A function of vendor B's card: registers and doorbells in front, behind them its native data plane or virtio's. Register
 * accesses only note what {@link step} does, and messages leave when the step's bursts have ended.
 */
export class VendorBFunction implements Personality {
  readonly pci: PciFunction;
  /** A port of the card's switch hands frames over when they come; any other backend may have to be asked for them. */
  readonly sleeps: boolean;
  /** Which virtual function it is, or -1: the physical one. */
  readonly index: number;
  readonly card: VendorBCard;
  readonly space: AddressSpace;
  readonly counters: VendorBCounters = newVendorBCounters();
  readonly native: NativePlane;
  /** Queues of the virtio data plane: the control queue is not among them where somebody else has it. */
  readonly virtqueues: number;
  /** The virtio data plane, while it is in use. */
  virtio: VirtioPlane | undefined = undefined;
  readonly station: Station;
  /** `VB_FAULT`, and the ring that it is about: the first one since the last reset. */
  fault: number = VB_FAULT.NONE;
  faultRing = 0;
  private readonly options: VendorBFunctionOptions;
  private readonly backend: NetBackend;
  private readonly admin: AdminEngine;
  private readonly now: () => number;
  private readonly wake: () => void;
  /** Bit per vector whose message is due. */
  private due = 0;
  private isHeld = false;
  private mayMaster = false;
  private isInStep = false;

  /** @see VendorBCard */
  constructor(place: PhysicalPlace | VirtualPlace, card: VendorBCard, index: number, options: VendorBFunctionOptions) {
    this.card = card;
    this.index = index;
    this.options = options;
    this.virtqueues = VENDOR_B_COUNT.VIRTQUEUES - (options.net?.externalControl === true ? 1 : 0);
    this.backend = 'port' in options ? options.port.backend : options.backend;
    this.space = place.space;
    this.now = options.now ?? monotonicMicroseconds;
    this.sleeps = 'port' in options;
    const told = options.wake;
    this.wake = () => {
      place.wake?.();
      told?.();
    };
    this.station = new Station(card.macOf(index));
    this.native = this.openNative(options);
    this.admin = new AdminEngine(place.space, (opcode, parameters, results) =>
      vendorBCommand(this, opcode, parameters, results),
    );
    const registers = new FunctionRegisters(this, this.admin, this.wake);
    this.pci = vendorBPci(place, registers, {
      reset: () => this.reset(),
      masterChanged: (allowed) => this.setMaster(allowed),
      removed: () => {
        this.setMaster(false);
        this.reset();
      },
    });
    this.backend.attach(this.native);
  }

  /** Whether no ring is touched: by command, or by the host. */
  get isSuspended(): boolean {
    return this.isHeld;
  }

  step(budget: number): number {
    if (this.isInStep || !this.mayMaster) return 0;
    this.isInStep = true;
    let done = 0;
    if (this.admin.pending !== 0) {
      done++;
      if (!this.admin.turn()) this.broke(VB_FAULT.ADMIN_ADDRESS, 0);
    }
    done += this.virtio === undefined ? this.native.step(budget) : this.virtio.device.step(budget);
    this.isInStep = false;
    this.sendMessages();
    return done;
  }

  deadline(): number {
    return this.virtio === undefined ? this.native.deadline() : this.virtio.device.deadline();
  }

  close(): void {
    this.native.reset();
    // Where the next function came before this one was closed, port and wishes are that one's.
    if (!this.card.forget(this.index, this)) return;
    this.leaveVirtio();
    this.card.forgetWishes(this.index);
    this.backend.attach(undefined);
  }

  /** Touch no ring any more; what was taken is finished. @returns false: ask again */
  suspend(): boolean {
    if (this.virtio !== undefined && !this.virtio.suspend()) return false;
    this.isHeld = true;
    this.settle();
    return true;
  }

  /** Take {@link suspend} back. */
  resume(): void {
    this.isHeld = false;
    this.virtio?.resume();
    this.settle();
    this.wake();
  }

  /** Choose the data plane; both begin anew. @param mode a `VB_MODE` */
  setMode(mode: number): void {
    this.leaveVirtio();
    this.native.reset();
    this.isHeld = false;
    if (mode === VB_MODE.VIRTIO) this.virtio = this.openVirtio();
    this.settle();
  }

  /** As after power-on: no ring is touched any more when this returns. */
  reset(): void {
    this.setMode(VB_MODE.NATIVE);
    this.admin.reset();
    this.card.forgetWishes(this.index);
    this.station.begin(this.card.macOf(this.index));
    this.fault = VB_FAULT.NONE;
    this.faultRing = 0;
    this.due = 0;
    this.counters.resets++;
  }

  /**
   * The native data plane, saved for another card of vendor B, as a host that moves a guest with its function does. The rings
   * themselves stay in the guest's memory, and configuration space and MSI-X are the host's to move.
   * @returns undefined unless the function is suspended, with its native data plane
   */
  saveState(): Uint8Array | undefined {
    return this.isHeld && this.virtio === undefined ? saveState(this.native, this.station) : undefined;
  }

  /**
   * Go on where another function was saved. The bytes are foreign.
   * @returns why they cannot be used, with nothing changed; undefined when they are in force, and the function suspended
   */
  restoreState(bytes: Uint8Array): string | undefined {
    return restoreState(bytes, this);
  }

  /** Restored: suspended, in the native data plane. */
  hold(): void {
    this.isHeld = true;
    this.settle();
  }

  /** A ring, or the device, cannot go on: until the next reset the status says so. */
  broke(fault: number, ring: number): void {
    this.counters.faults++;
    if (this.fault === VB_FAULT.NONE) {
      this.fault = fault;
      this.faultRing = ring;
    }
    this.interrupt(EVENT_VECTOR);
  }

  private interrupt(vector: number): void {
    this.due |= 1 << vector;
    this.wake();
  }

  /** A handler may do all that a driver does. */
  private sendMessages(): void {
    for (let vector = 0; vector < VENDOR_B_COUNT.VECTORS && this.due !== 0; vector++) {
      if ((this.due & (1 << vector)) === 0) continue;
      this.due &= ~(1 << vector);
      this.pci.msix?.raise(vector);
    }
  }

  private setMaster(allowed: boolean): void {
    this.mayMaster = allowed;
    this.settle();
    if (allowed) this.wake();
  }

  private settle(): void {
    this.native.isLive = this.mayMaster && !this.isHeld && this.virtio === undefined;
    if (this.virtio !== undefined) this.virtio.device.dmaEnabled = this.mayMaster;
  }

  private openNative({ holdWhenFull = false }: VendorBFunctionOptions): NativePlane {
    return new NativePlane({
      space: this.space,
      backend: this.backend,
      station: this.station,
      counters: this.counters,
      holdWhenFull,
      owner: {
        interrupt: (vector) => this.interrupt(vector),
        broke: (fault, ring) => this.broke(fault, ring),
        now: this.now,
      },
    });
  }

  private openVirtio(): VirtioPlane {
    const { memory, scratch, net = {} } = this.options;
    const port = this.card.portOf(this.index);
    return new VirtioPlane({
      memory,
      scratch,
      backend: this.backend,
      net,
      port,
      space: this.space,
      mac: this.station.mac,
      pairs: 1,
      queueSize: VENDOR_B_COUNT.VIRTQUEUE_SIZE,
      usedBuffer: (_queue, vector) => this.pci.msix?.raise(vector),
      configChange: () => this.pci.msix?.raise(EVENT_VECTOR),
      wake: this.wake,
      now: this.now,
      broke: () => this.broke(VB_FAULT.VIRTIO, 0),
    });
  }

  private leaveVirtio(): void {
    if (this.virtio === undefined) return;
    this.virtio.close();
    this.virtio = undefined;
    this.backend.attach(this.native);
  }
}
