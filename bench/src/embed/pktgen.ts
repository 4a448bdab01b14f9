import { HostMemory } from '@ringwire/guest-memory';
import { copyFrame, DELIVERED, type Delivered, type Frame, type NetBackend } from '@ringwire/net-backend';

/** Behind Ethernet, IPv4 and UDP: what Linux's pktgen marks and numbers its frames with. */
const MAGIC_AT = 42;
const NUMBER_AT = 46;
const MAGIC = 0xbe9b_e955;
/** Frames of a round that are not timed: until the guest's code is compiled for what it does. */
const AHEAD = 2048;
const FRAME_BYTES = 2048;

/** Looks at frames that came out of a card. */
export interface FrameTaker {
  /** @param bytes good during the call; the frame is the first `length` of them */
  take(bytes: DataView, length: number): void;
}

/** Takes frames of pktgen's: they have to come each once, in their order. Everything else is not looked at. */
export class PktgenSink implements FrameTaker {
  /** Of this round. */
  count = 0;
  /** Frames that are not the one behind the last one. */
  astray = 0;
  private wanted = 0;
  private number = 0;
  private since = 0;
  private done: (rate: number) => void = () => {};

  /** @returns when so many have come: frames per µs */
  next(frames: number): Promise<number> {
    this.count = 0;
    this.wanted = frames;
    this.number = 0;
    return new Promise((resolve) => {
      this.done = resolve;
    });
  }

  take(bytes: DataView, length: number): void {
    if (length < NUMBER_AT + 4 || bytes.getUint32(MAGIC_AT) !== MAGIC) return;
    const number = bytes.getUint32(NUMBER_AT);
    if (this.count > 0 && number !== this.number + 1) this.astray++;
    this.number = number;
    this.count++;
    if (this.count === Math.min(AHEAD, this.wanted >> 1)) this.since = performance.now();
    if (this.count !== this.wanted) return;
    const timed = this.wanted - Math.min(AHEAD, this.wanted >> 1);
    this.done(timed / ((performance.now() - this.since) * 1000));
  }
}

/** The far end of our card: each frame is copied out of the guest, as v86's own card does, and looked at. */
export class SinkPort implements NetBackend {
  /** Frames are complete when they come here, as they are from v86's card. */
  readonly offloads = 0;
  private readonly memory = HostMemory.wrap(new ArrayBuffer(FRAME_BYTES));
  private readonly view = new DataView(this.memory.u8.buffer);
  private readonly taker: FrameTaker;

  constructor(taker: FrameTaker) {
    this.taker = taker;
  }

  receive(frame: Frame): Delivered {
    this.taker.take(this.view, copyFrame(frame, 0, this.memory, 0, FRAME_BYTES));
    return DELIVERED.ACCEPTED;
  }

  attach(): void {}

  pump(): number {
    return 0;
  }
}

/** Shell that has pktgen send frames and ends when they have left. @param bytes of each, without check sequence */
export function pktgenCommand(name: string, frames: number, bytes: number, mac: string): string {
  const settings = [`count ${frames}`, `pkt_size ${bytes}`, 'delay 0', 'dst 10.9.9.9', `dst_mac ${mac}`];
  return [
    'cd /proc/net/pktgen',
    'echo rem_device_all > kpktgend_0',
    `echo add_device ${name} > kpktgend_0`,
    ...settings.map((setting) => `echo ${setting} > ${name}`),
    'echo start > pgctrl',
    'cd /',
  ].join('; ');
}
