import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import type { NetBackend } from '@ringwire/net-backend';
import { NET_SCRATCH_BYTES, NetDevice, VirtioMmio } from '@ringwire/virtio-device';

/** Bytes of registers that a virtio-mmio device has on the bus: QEMU's machines leave so much for one. */
const WINDOW_BYTES = 0x200;
const FAR_END_BYTES = 2048;
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
/** Frames that a step may move. */
const BUDGET = 64;

export interface MachineOptions {
  /** RAM from guest-physical address 0 on, in bytes. */
  readonly ramBytes: number;
  /** Guest-physical address of the device's registers. */
  readonly deviceAt: number;
  /** Makes the far end of the cable: the machine's memory, and where in it there are 2048 bytes of the far end's own. */
  readonly backend: (memory: HostMemory, at: number) => NetBackend;
  /** Queue Size of each queue. */
  readonly queueSize: number;
  /** VendorID. */
  readonly vendorId: number;
}

/** All that an emulator needs around a virtio-mmio device: RAM, a window on the bus, an interrupt line, and a step. */
export class Machine {
  readonly memory: HostMemory;
  readonly mmio: VirtioMmio;
  /** Level of the interrupt line. */
  line = false;
  /** The line's rising edges. */
  interrupts = 0;
  private readonly ramBytes: number;
  private readonly deviceAt: number;
  private isDue = false;

  constructor({ ramBytes, deviceAt, backend, queueSize, vendorId }: MachineOptions) {
    // Guest RAM first, and behind it what the device and the far end work in.
    this.memory = HostMemory.create(ramBytes + NET_SCRATCH_BYTES + FAR_END_BYTES);
    this.ramBytes = ramBytes;
    this.deviceAt = deviceAt;
    this.mmio = new VirtioMmio({
      model: new NetDevice({
        memory: this.memory,
        scratch: ramBytes,
        backend: backend(this.memory, ramBytes + NET_SCRATCH_BYTES),
        mac: MAC,
        rxQueueSize: queueSize,
        txQueueSize: queueSize,
      }),
      space: new GuestMemory(this.memory, [{ gpa: 0, size: ramBytes, host: 0 }]),
      vendorId,
      interrupt: (level) => {
        if (level && !this.line) this.interrupts++;
        this.line = level;
      },
      // A notification is a register write: nothing is done within it, the loop comes round to it.
      wake: () => {
        this.isDue = true;
      },
    });
  }

  /** A load by the processor. @param bytes 1, 2 or 4. @returns an unsigned number; where nothing answers, all ones */
  read(address: number, bytes: number): number {
    const { view } = this.memory;
    if (address + bytes <= this.ramBytes) {
      if (bytes === 1) return view.getUint8(address);
      return bytes === 2 ? view.getUint16(address, true) : view.getUint32(address, true);
    }
    const offset = address - this.deviceAt;
    if (offset >= 0 && offset < WINDOW_BYTES) return this.mmio.read(offset, bytes);
    return 0xffff_ffff >>> (32 - 8 * bytes);
  }

  /** A store by the processor. @param value unsigned, of that width */
  write(address: number, bytes: number, value: number): void {
    const { view } = this.memory;
    const offset = address - this.deviceAt;
    if (offset >= 0 && offset < WINDOW_BYTES) this.mmio.write(offset, bytes, value);
    else if (address + bytes > this.ramBytes) return;
    else if (bytes === 1) view.setUint8(address, value);
    else if (bytes === 2) view.setUint16(address, value, true);
    else view.setUint32(address, value, true);
  }

  /** Between two instructions, or slices of them: let the device do what it was notified of. */
  turn(): void {
    while (this.isDue) {
      this.isDue = false;
      if (this.mmio.device.step(BUDGET) > 0) this.isDue = true;
    }
  }
}
