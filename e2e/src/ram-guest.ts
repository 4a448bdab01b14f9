import type { HostMemory } from '@ringwire/guest-memory';
import { type QueuePlace, VDPA, type VdpaDevice } from '@ringwire/vdpa';
import { DEVICE_STATUS, featureWords, VIRTIO_F } from '@ringwire/virtio-spec';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;
const TRANSMIT = 1;
const SIZE = 16;
/** Bytes of the guest's RAM, and where it has them. */
export const GUEST_BYTES = 0x10_0000;
export const GUEST_GPA = 0x1000_0000;
/** In RAM: the three parts of the transmit ring, what the guest knows, and a buffer for each descriptor. */
const AT = { desc: 0, driver: 0x1000, device: 0x2000, sent: 0x3000, buffers: 0x4000 } as const;
const BUFFER_BYTES = 0x1000;
/** `virtio_net_hdr` with `num_buffers`, and a frame of 60 bytes. */
const [HEADER_BYTES, FRAME_BYTES] = [12, 60];
/** In the frame: its number, 32 bits. */
export const NUMBER_AT = 14;

/**
 * A guest that sends numbered frames, of which every bit is in its RAM: whoever has the RAM can let it go on. Its driver is
 * virtio 1.4 §2.7 with one descriptor for each frame.
 */
export class RamGuest {
  private readonly view: DataView;
  private readonly u8: Uint8Array;

  /** @param host offset of its RAM */
  constructor(memory: HostMemory, host: number) {
    this.u8 = memory.u8.subarray(host, host + GUEST_BYTES);
    this.view = new DataView(this.u8.buffer, this.u8.byteOffset, GUEST_BYTES);
  }

  /** The transmit queue, where the driver put it. */
  get places(): readonly QueuePlace[] {
    const [desc, driver, device] = [AT.desc, AT.driver, AT.device].map((at) => GUEST_GPA + at);
    return [{ index: TRANSMIT, size: SIZE, addresses: { desc: desc!, driver: driver!, device: device! } }];
  }

  /** Frames that it made available. */
  get sent(): number {
    return this.view.getUint32(AT.sent, true);
  }

  /** Take a device into use that was reset, with the RAM mapped. */
  boot(device: VdpaDevice): void {
    const { size, addresses } = this.places[0]!;
    for (let slot = 0; slot < SIZE; slot++) {
      this.view.setBigUint64(AT.desc + slot * 16, BigInt(GUEST_GPA + AT.buffers + slot * BUFFER_BYTES), true);
      this.view.setUint32(AT.desc + slot * 16 + 8, HEADER_BYTES + FRAME_BYTES, true);
    }
    const steps = [
      device.setStatus(ACKNOWLEDGE),
      device.setStatus(ACKNOWLEDGE | DRIVER),
      device.setDriverFeatures(featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM])),
      device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK),
      device.setQueueSize(TRANSMIT, size),
      device.setQueueAddresses(TRANSMIT, addresses),
      device.setQueueReady(TRANSMIT, true),
      device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK),
    ];
    if (steps.some((outcome) => outcome !== VDPA.OK)) throw new Error(`the device does not come up: ${steps.join()}`);
  }

  /** Send as much as the ring has room for. */
  turn(device: VdpaDevice): void {
    const { view } = this;
    const used = view.getUint16(AT.device + 2, true);
    let { sent } = this;
    const before = sent;
    for (; ((sent - used) & 0xffff) < SIZE; sent++) {
      const slot = sent % SIZE;
      const frame = AT.buffers + slot * BUFFER_BYTES + HEADER_BYTES;
      this.u8.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5], frame);
      view.setUint32(frame + NUMBER_AT, sent, true);
      view.setUint16(AT.driver + 4 + slot * 2, slot, true);
    }
    view.setUint32(AT.sent, sent, true);
    view.setUint16(AT.driver + 2, sent & 0xffff, true);
    if (sent !== before) device.kick(TRANSMIT);
  }
}
