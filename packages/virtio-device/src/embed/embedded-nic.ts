import { type ForeignMemory, ForeignSpace } from '@ringwire/guest-memory';
import { DELIVERED, type NetBackend } from '@ringwire/net-backend';
import { PVIRTQ_EVENT_SUPPRESS, pvirtqDescBytes, VirtioError, virtqUsedBytes } from '@ringwire/virtio-spec';
import { NetDevice } from '../net/net-device.js';
import { checkMac, type NetDeviceOptions } from '../net/net-options.js';
import type { RegisterSpace } from '../pci-layout.js';
import { QUEUE_AREA } from '../queue-slot.js';
import { VirtioPci, type VirtioPciConfig } from '../virtio-pci.js';
import { BytePort } from './byte-port.js';
import { restoreFunction, saveFunction } from './function-state.js';
import { InterruptGate, type InterruptHost } from './interrupt-gate.js';

/** Most chains per queue and step. */
const STEP_BUDGET = 256;
/** Most steps that one access leads to: a loopback could go on for ever. */
const STEPS_MAX = 64;
/** virtio 1.4 §4.1.4.3: a vector for each of a pair's queues, the control queue and the configuration. */
const VECTORS = 4;
/** Locally administered, of a single station. */
const LOCAL_MAC = 0x02;

/** The emulator around a device. */
export interface EmbeddingHost extends InterruptHost {
  /** A BAR is decoded at another address from now on; -1: at none. */
  barMoved?(bar: number, address: number): void;
  /**
   * There is work: call {@link EmbeddedNic.step} soon. Called within a register access, and when a frame came. Left out:
   * work is done before the access returns.
   */
  wake?(): void;
  /** A complete frame of the driver's, in an array of its own. Where there is a `port` it gets frames instead. */
  transmit?(frame: Uint8Array): void;
  /** {@link EmbeddedNic.receive} said 'full', and a frame may find a buffer again. */
  room?(): void;
}

/** How an {@link EmbeddedNic} is made: beside what is said here, as a {@link NetDevice}. */
export interface EmbeddedNicOptions
  extends Omit<NetDeviceOptions, 'memory' | 'scratch' | 'backend' | 'share' | 'parts'> {
  readonly memory: ForeignMemory;
  readonly host: EmbeddingHost;
  /** What the device is plugged into, such as a port of a `LearningSwitch`; the host's `transmit` unless given. */
  readonly port?: NetBackend;
  /** Where its registers are; memory unless given. */
  readonly registers?: RegisterSpace;
  /**
   * Interrupts wait for {@link EmbeddedNic.flushInterrupts}: for hosts that cannot take one in the middle of an access. A
   * pin that falls does so at once.
   */
  readonly deferInterrupts?: boolean;
  /** MSI-X vectors; 4 where the host takes messages, otherwise none. */
  readonly vectors?: number;
  /** Feature words that may be offered; everything unless given. */
  readonly offer?: Uint32Array;
  /** A clock in µs that never goes back; the platform's unless given. */
  readonly now?: () => number;
}

/**
 * Which address a device has behind {@link EmbeddedNic.restoreState}: that of the state, a random one, or one of 6 bytes.
 * Two machines that go on from one state need two. A driver learns of another address when it starts the device anew; frames
 * for the one it knows pass until then.
 */
export type MacPolicy = 'keep' | 'new' | Uint8Array;

/** What became of a frame for the driver: 'dropped' is counted in `device.drops`, and another try would not help. */
export type Received = 'accepted' | 'full' | 'dropped';

/**
 * A network card for somebody else's emulator: a PCI function on the emulator's own memory, in its thread, with plain
 * functions for what a bus does. Nothing runs but in these functions, and nothing that the guest does makes one throw.
 */
export class EmbeddedNic {
  readonly device: NetDevice;
  readonly function: VirtioPci;
  private readonly space: ForeignSpace;
  private readonly interrupts: InterruptGate;
  private readonly host: EmbeddingHost;
  private readonly bytes: BytePort | undefined;
  private hasWork = false;
  private isWorking = false;

  /** @throws VirtioError for memory or a device that cannot be */
  constructor(options: EmbeddedNicOptions) {
    const { memory, host, port, deferInterrupts = false } = options;
    const vectors = options.vectors ?? (host.msi === undefined ? 0 : VECTORS);
    if (vectors > 0 && host.msi === undefined)
      throw new VirtioError('vectors', vectors, '0 where the host takes no messages', 'PCIe 5.0 §6.1.4');
    this.host = host;
    this.space = new ForeignSpace(memory);
    this.bytes =
      port === undefined
        ? new BytePort(
            (frame) => host.transmit?.(frame),
            () => host.room?.(),
          )
        : undefined;
    const { memory: guest } = this.space;
    const backend = port ?? this.bytes!;
    this.device = new NetDevice({ holdWhenFull: true, ...options, memory: guest, backend });
    this.interrupts = new InterruptGate(host, vectors, deferInterrupts);
    try {
      this.function = new VirtioPci(this.pciConfig(options, vectors));
    } catch (error) {
      // The port is plugged into already.
      this.device.close();
      throw error;
    }
    this.space.beforeLeave = () => this.noteRings();
  }

  /** Read configuration space. @param size 1 to 4 bytes @returns all ones where there is nothing */
  configRead(offset: number, size: number): number {
    return this.function.pci.configRead(offset, size);
  }

  configWrite(offset: number, size: number, value: number): void {
    this.function.pci.configWrite(offset, size, value);
    this.work();
  }

  /**
   * Read a BAR's registers, an access as it comes: whole, cut into bytes, or across registers.
   * @param offset from the BAR's start
   */
  barRead(bar: number, offset: number, size: number): number {
    const value = this.function.pci.barRead(bar, offset, size);
    this.work();
    return value;
  }

  barWrite(bar: number, offset: number, size: number, value: number): void {
    this.function.pci.barWrite(bar, offset, size, value);
    this.work();
  }

  /** Where a BAR is decoded, or -1. */
  barAddress(bar: number): number {
    return this.function.pci.barAddress(bar);
  }

  /**
   * Do what there is to be done, for a host with `wake`; and where {@link deadline} has come.
   * @returns whether more is left
   */
  step(budget: number = STEP_BUDGET): boolean {
    this.hasWork = false;
    if (this.function.device.step(budget) > 0) this.hasWork = true;
    return this.hasWork;
  }

  /** When {@link step} is to be called at the latest, in µs of the clock; Infinity when nothing waits. */
  deadline(): number {
    return this.function.device.deadline();
  }

  /**
   * A frame for the driver. @param frame complete, from the destination address on
   * @returns 'full' where the driver has no buffer: the host's `room` says when to try again
   * @throws VirtioError where frames come from a port, and for one that no device takes
   */
  receive(frame: Uint8Array): Received {
    if (this.bytes === undefined)
      throw new VirtioError('port', 'given', 'none: frames come from it', 'EmbeddedNic.receive');
    const delivered = this.bytes.send(frame);
    this.work();
    if (delivered === DELIVERED.ACCEPTED) return 'accepted';
    return delivered === DELIVERED.FULL ? 'full' : 'dropped';
  }

  /** Whether interrupts wait. */
  get hasInterrupts(): boolean {
    return this.interrupts.isWaiting;
  }

  /** Tell the host of interrupts that were deferred. */
  flushInterrupts(): void {
    this.interrupts.flush();
  }

  /** As after power-on: the bus was reset. */
  reset(): void {
    this.function.pci.reset('power-on');
    this.interrupts.forget();
    this.interrupts.flush();
  }

  /**
   * All that the driver made of the device. Interrupts that wait are told to the host first, so that they are in the host's
   * own state: that is to be taken behind this. Guest memory and frames on their way are not in it.
   * @returns undefined from within one of the host's functions: ask again between two accesses
   */
  saveState(): Uint8Array | undefined {
    if (this.function.device.isChanging) return undefined;
    // Notifications that wait for a step leave with it; it takes nothing off the rings.
    this.function.device.step(0);
    this.flushInterrupts();
    return saveFunction(this.function);
  }

  /**
   * Take over what {@link saveState} gave, foreign input, behind the guest's memory and the host's own state: all of it or
   * nothing. @param mac which address the device has then, 'keep' unless given
   * @returns why it is refused, in a sentence; undefined when it was taken
   * @throws VirtioError for an address that no station has
   */
  restoreState(state: Uint8Array, mac: MacPolicy = 'keep'): string | undefined {
    if (typeof mac !== 'string') checkMac(mac);
    const problem = restoreFunction(this.function, state);
    if (problem !== undefined) return problem;
    this.interrupts.forget();
    this.interrupts.repeatLevel();
    if (mac !== 'keep') this.device.setMac(mac === 'new' ? randomMac() : mac);
    this.hasWork = false;
    this.wake();
    this.work();
    return undefined;
  }

  /** The device ends: nothing moves, and its port is free. */
  close(): void {
    this.function.pci.remove();
    this.device.close();
  }

  private pciConfig(options: EmbeddedNicOptions, vectors: number): VirtioPciConfig {
    const { host } = this;
    const { registers, offer, now } = options;
    return {
      model: this.device,
      space: this.space,
      vectors,
      ...(registers === undefined ? {} : { registers }),
      ...(offer === undefined ? {} : { offer }),
      ...(now === undefined ? {} : { now }),
      wake: () => this.wake(),
      host: {
        setIntx: (level) => this.interrupts.setLevel(level),
        sendMessage: (low, high, data, vector) => this.interrupts.send(low, high, data, vector),
        barMoved: (bar, address) => host.barMoved?.(bar, address),
      },
    };
  }

  private wake(): void {
    this.bytes?.woken();
    if (this.hasWork) return;
    this.hasWork = true;
    this.host.wake?.();
  }

  /** A host that is not woken has everything done before its access returns. */
  private work(): void {
    if (this.host.wake !== undefined || this.isWorking) return;
    this.isWorking = true;
    for (let steps = 0; this.hasWork && steps < STEPS_MAX; steps++) this.step();
    this.isWorking = false;
  }

  /** A device resolves rings when their queues start, and writes to them in every burst. */
  private noteRings(): void {
    for (const slot of this.function.device.queues) {
      const { queue, size } = slot;
      if (queue === undefined) continue;
      const isPacked = queue.layout === 'packed';
      if (isPacked) this.space.note(slot.address(QUEUE_AREA.desc), pvirtqDescBytes(size));
      const bytes = isPacked ? PVIRTQ_EVENT_SUPPRESS.SIZE : virtqUsedBytes(size);
      this.space.note(slot.address(QUEUE_AREA.device), bytes);
    }
  }
}

function randomMac(): Uint8Array {
  const mac = Uint8Array.from({ length: 6 }, () => Math.random() * 256);
  mac[0] = (mac[0]! & 0xfc) | LOCAL_MAC;
  return mac;
}
