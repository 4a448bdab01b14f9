import { type Frame, PCAPNG_DIRECTION, type PcapngDirection, type PcapngWriter } from '@ringwire/net-backend';
import { type FrameTrace, NO_DROP } from './frame-trace.js';
import { dropName, NET_LOSSES } from './net-drop.js';

const { INBOUND, OUTBOUND } = PCAPNG_DIRECTION;

/**
 * Writes frames of a network device to a pcapng file: an interface for each transmit and each receive queue, and one for
 * frames that reached none. Why a frame was dropped is its comment. Several devices may write to one file.
 */
export class PcapngTrace implements FrameTrace {
  private readonly writer: PcapngWriter;
  private readonly port: string;
  /** Interface numbers by pair; described when they are used first. */
  private readonly transmit: number[] = [];
  private readonly receive: number[] = [];
  private lost = -1;

  /** @param port what the device is called in the names of interfaces, such as `vf0` */
  constructor(writer: PcapngWriter, port: string) {
    this.writer = writer;
    this.port = port;
  }

  transmitted(pair: number, frame: Frame, drop: number): void {
    this.transmit[pair] ??= this.describe(`transmitq${pair + 1}`, `frames of the driver, virtqueue ${2 * pair + 1}`);
    this.write(this.transmit[pair], frame, OUTBOUND, pair, drop);
  }

  received(pair: number, frame: Frame, drop: number): void {
    if (pair < 0) {
      if (this.lost < 0) this.lost = this.describe('receive', 'frames for the driver that reached no queue');
      this.write(this.lost, frame, INBOUND, 0, drop);
      return;
    }
    this.receive[pair] ??= this.describe(`receiveq${pair + 1}`, `frames for the driver, virtqueue ${2 * pair}`);
    this.write(this.receive[pair], frame, INBOUND, pair, drop);
  }

  private describe(queue: string, description: string): number {
    return this.writer.addInterface(`${this.port} ${queue}`, description);
  }

  private write(id: number, frame: Frame, direction: PcapngDirection, pair: number, drop: number): void {
    this.writer.write(id, frame, direction, drop === NO_DROP ? '' : commentOf(drop), pair);
  }
}

function commentOf(drop: number): string {
  const name = dropName(drop);
  return `dropped, ${name}: ${NET_LOSSES[name].why}`;
}
