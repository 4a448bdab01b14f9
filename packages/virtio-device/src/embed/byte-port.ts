import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame, type FrameSink, frameBytes, type NetBackend } from '@ringwire/net-backend';
import { VirtioError } from '@ringwire/virtio-spec';

/** The longest frame that a device takes, complete: a packet of 65535 bytes, an Ethernet header and a tag. */
const FRAME_BYTES_MAX = 65_553;

/** The other end of a device's cable for a host that has frames as arrays of bytes. */
export class BytePort implements NetBackend {
  /** Frames are complete when they leave. */
  readonly offloads = 0;
  private readonly transmit: (frame: Uint8Array) => void;
  private readonly room: () => void;
  private readonly frame: Frame;
  private device: FrameSink | undefined = undefined;
  /** A frame was answered with FULL since {@link room} was called last. */
  private isFull = false;
  /** The device was woken since it looked here last, and not by what is sent here. */
  private mayHaveRoom = false;
  private isSending = false;

  /**
   * @param transmit a frame of the driver's, in an array of its own
   * @param room a frame may find a buffer again; called in a step, and may hand frames over
   */
  constructor(transmit: (frame: Uint8Array) => void, room: () => void) {
    this.transmit = transmit;
    this.room = room;
    this.frame = new Frame(HostMemory.wrap(new ArrayBuffer(FRAME_BYTES_MAX)));
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(0, 0);
    this.frame.end = 1;
  }

  /** A frame for the driver. @throws VirtioError for one longer than any */
  send(bytes: Uint8Array): Delivered {
    const { frame, device } = this;
    if (bytes.length > FRAME_BYTES_MAX)
      throw new VirtioError('frame.length', bytes.length, `at most ${FRAME_BYTES_MAX}`, 'EmbeddedNic.receive');
    if (device === undefined) return DELIVERED.DROPPED;
    frame.memory.u8.set(bytes);
    frame.ranges.length[0] = bytes.length;
    frame.length = bytes.length;
    this.isSending = true;
    const delivered = device.receive(frame);
    device.flush?.();
    this.isSending = false;
    if (delivered === DELIVERED.FULL) this.isFull = true;
    return delivered;
  }

  /** The device is to look for work. A burst of frames ends with this, too: that is no reason to hope for room. */
  woken(): void {
    if (!this.isSending) this.mayHaveRoom = true;
  }

  receive(frame: Frame): Delivered {
    this.transmit(frameBytes(frame));
    return DELIVERED.ACCEPTED;
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  pump(): number {
    const isRoom = this.isFull && this.mayHaveRoom;
    this.mayHaveRoom = false;
    if (isRoom) {
      this.isFull = false;
      this.room();
    }
    return 0;
  }
}
