import { type Frame, PCAPNG_DIRECTION, type PcapngDirection, type PcapngWriter } from '@ringwire/net-backend';
import { type FrameTrace, NO_DROP } from './frame-trace.js';
import { dropName, NET_LOSSES } from './net-drop.js';

const { INBOUND, OUTBOUND } = PCAPNG_DIRECTION;

/**
 * Writes frames of a network device to a pcapng file: an interface for each transmit and each receive queue, and one for
 * frames that reached none; or one interface for all, where each frame still has its direction and queue pair. Why a
 * frame was dropped is its comment. Several devices may write to one file.
 */
export class PcapngTrace implements FrameTrace {
  private readonly writer: PcapngWriter;
  private readonly port: string;
  /** Interface numbers by pair; described when they are used first. */
  private readonly transmit: number[] = [];
  private readonly receive: number[] = [];
  private lost = -1;
  /** The one interface of all frames, or -1. */
  private readonly whole: number;

  /**
   * @param port what the device is called in the names of interfaces, such as `vf0`
   * @param interfaces that are described: when a queue is used first, or one for the device at once
   */
  constructor(writer: PcapngWriter, port: string, interfaces: 'queues' | 'device' = 'queues') {
    this.writer = writer;
    this.port = port;
    this.whole = interfaces === 'device' ? writer.addInterface(port, 'frames of the driver and for it') : -1;
  }

  transmitted(pair: number, frame: Frame, drop: number): void {
    if (this.whole >= 0) {
      this.write(this.whole, frame, OUTBOUND, pair, drop);
      return;
    }
    this.transmit[pair] ??= this.describe(`transmitq${pair + 1}`, `frames of the driver, virtqueue ${2 * pair + 1}`);
    this.write(this.transmit[pair], frame, OUTBOUND, pair, drop);
  }

  received(pair: number, frame: Frame, drop: number): void {
    if (this.whole >= 0) {
      this.write(this.whole, frame, INBOUND, Math.max(0, pair), drop);
      return;
    }
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
