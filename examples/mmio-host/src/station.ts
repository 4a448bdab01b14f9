import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame, type FrameSink, frameBytes, type NetBackend } from '@ringwire/net-backend';

const ARP_REPLY_AT = 21;
/** An ARP request for IPv4 over Ethernet, from its EtherType on. RFC 826 */
const ARP_REQUEST = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1];
const ARP_BYTES = 42;

export interface StationOptions {
  readonly mac: Uint8Array;
  /** A device takes frames that lie in its own memory, so this is it. */
  readonly memory: HostMemory;
  /** Host offset of the frame that is being sent. */
  readonly at: number;
  /** Gets a copy of every frame that comes. */
  readonly heard: Uint8Array[];
}

/** The station at the other end of the device's cable: it answers ARP requests for any address but the asker's. */
export class Station implements NetBackend {
  /** Frames come complete: nothing is left to be done to them. */
  readonly offloads = 0;
  private readonly heard: Uint8Array[];
  private readonly mac: Uint8Array;
  private readonly at: number;
  private readonly answers: Uint8Array[] = [];
  private readonly frame: Frame;
  private device: FrameSink | undefined = undefined;

  constructor({ mac, memory, at, heard }: StationOptions) {
    this.mac = mac;
    this.heard = heard;
    this.at = at;
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(at, ARP_BYTES);
    this.frame.end = 1;
    this.frame.length = ARP_BYTES;
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  receive(frame: Frame): Delivered {
    const bytes = frameBytes(frame);
    this.heard.push(bytes);
    const answer = this.answerTo(bytes);
    if (answer !== undefined) this.answers.push(answer);
    return DELIVERED.ACCEPTED;
  }

  pump(budget: number): number {
    let taken = 0;
    for (; taken < budget && this.answers.length > 0 && this.device !== undefined; taken++) {
      this.frame.memory.u8.set(this.answers[0]!, this.at);
      if (this.device.receive(this.frame) === DELIVERED.FULL) break;
      this.answers.shift();
    }
    return taken;
  }

  private answerTo(request: Uint8Array): Uint8Array | undefined {
    if (request.length < ARP_BYTES || ARP_REQUEST.some((byte, at) => request[12 + at] !== byte)) return undefined;
    const answer = request.slice(0, ARP_BYTES);
    answer.set(request.subarray(6, 12), 0);
    answer.set(this.mac, 6);
    answer[ARP_REPLY_AT] = 2;
    answer.set(this.mac, 22);
    answer.set(request.subarray(38, 42), 28);
    answer.set(request.subarray(22, 32), 32);
    return answer;
  }
}
