import { DELIVERED, type Delivered, type Frame } from '@ringwire/net-backend';
import { FORM } from './decision.js';
import { ESWITCH_DROP, NO_DROP } from './drop-reason.js';
import type { DropWatcher } from './drop-watcher.js';
import type { Passage } from './passage.js';
import type { SwitchPort } from './switch-port.js';

/** Hands frames to the devices at ports, and lets those make them visible at the end of a burst. */
export class Handing {
  /** How deep frames that come back while they are handed on are nested. */
  depth = 0;
  /** Told of what is lost. */
  watcher: DropWatcher | undefined = undefined;
  private readonly ports: readonly SwitchPort[];
  /** Ports that frames went to since they were flushed. */
  private readonly unflushed: Uint16Array;
  private readonly isUnflushed: Uint8Array;
  private count = 0;

  constructor(ports: readonly SwitchPort[]) {
    this.ports = ports;
    this.unflushed = new Uint16Array(ports.length);
    this.isUnflushed = new Uint8Array(ports.length);
  }

  /** Hand copies to all that get one. @returns FULL when the only one that gets it is a wire without room */
  hand(passage: Passage): Delivered {
    const { decision } = passage;
    const canWait = decision.count === 1 && decision.drop === NO_DROP;
    let answer: Delivered = DELIVERED.ACCEPTED;
    this.depth++;
    for (let at = 0; at < decision.count; at++) {
      const port = this.ports[decision.port[at]!]!;
      const drop = decision.portDrop[at]!;
      if (drop !== NO_DROP) this.drop(port, drop, passage);
      else if (this.handOne(passage, port, decision.form[at]!, canWait) === DELIVERED.FULL) answer = DELIVERED.FULL;
    }
    this.depth--;
    return answer;
  }

  /**
   * Hand the frames of a passage's part to one port, as they came: at once as far as that goes, and one by one. A port
   * VLAN's tag, which their sender's port puts in and the receiver's takes out, those see that are told of what is lost.
   * @returns how many went or were lost; all but where a wire has no room
   */
  handPart(passage: Passage, from: SwitchPort, port: SwitchPort): number {
    const { part } = passage;
    const { count, first } = part;
    const { portVlan } = from.settings;
    const form = portVlan === undefined ? FORM.WHOLE : FORM.WITHOUT_TAG;
    this.depth++;
    const accepted = port.device?.receiveRun?.(part) ?? 0;
    if (port.device?.receiveRun !== undefined) this.noteUnflushed(port.number);
    const bytes = accepted === count ? part.bytes : part.ranges.bytes(first, accepted) - accepted * part.skip;
    from.counters.inFrames += accepted;
    from.counters.inBytes += bytes;
    port.counters.outFrames += accepted;
    port.counters.outBytes += bytes;
    let done = accepted;
    for (; done < count; done++) {
      passage.enterTagged(part, done, portVlan);
      if (this.handOne(passage, port, form, true) === DELIVERED.FULL) break;
      from.counters.inFrames++;
      from.counters.inBytes += passage.bytes;
    }
    this.depth--;
    return done;
  }

  /** The end of a burst from a port, for all that frames went to. Its own device's turn makes visible what that got. */
  flush(from: SwitchPort): void {
    const isOwn = this.isUnflushed[from.number] === 1;
    while (this.count > 0) {
      const number = this.unflushed[--this.count]!;
      this.isUnflushed[number] = 0;
      if (number !== from.number) this.ports[number]!.device?.flush?.();
    }
    if (isOwn) this.noteUnflushed(from.number);
  }

  /** A frame that came in goes nowhere. @param bytes of it, as it came */
  lose(bytes: number, { counters, number }: SwitchPort, reason: number, frame: Frame): Delivered {
    counters.inFrames++;
    counters.inBytes += bytes;
    counters.drops[reason]!++;
    this.watcher?.dropped(number, reason, frame);
    return DELIVERED.DROPPED;
  }

  /** @param canWait the frame may stay with its sender, where the port is the wire */
  private handOne(passage: Passage, port: SwitchPort, form: number, canWait: boolean): Delivered {
    const { number, kind, device, counters } = port;
    if (device === undefined) {
      this.drop(port, ESWITCH_DROP.NO_DEVICE, passage);
      return DELIVERED.DROPPED;
    }
    const delivered = passage.deliver(device, form);
    // What it refused may have begun a burst of its, too.
    this.noteUnflushed(number);
    if (delivered === DELIVERED.ACCEPTED) {
      counters.outFrames++;
      counters.outBytes += passage.lengthIn(form);
      return delivered;
    }
    if (delivered === DELIVERED.FULL && canWait && kind === 'wire') return delivered;
    this.drop(port, delivered === DELIVERED.FULL ? ESWITCH_DROP.NO_ROOM : ESWITCH_DROP.REFUSED, passage);
    return DELIVERED.DROPPED;
  }

  private drop({ counters, number }: SwitchPort, reason: number, { head }: Passage): void {
    counters.drops[reason]!++;
    this.watcher?.dropped(number, reason, head.frame());
  }

  private noteUnflushed(number: number): void {
    if (this.isUnflushed[number] === 1) return;
    this.isUnflushed[number] = 1;
    this.unflushed[this.count++] = number;
  }
}
