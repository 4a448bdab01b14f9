import { DELIVERED, type Delivered, type Frame, type FrameRun } from '@ringwire/net-backend';
import { ETHERNET } from '@ringwire/net-offload';
import { takeAlike } from './alike-run.js';
import { FORM } from './decision.js';
import { ESWITCH_DROP, NO_DROP } from './drop-reason.js';
import type { Forwarding } from './forwarding.js';
import type { ForwardingTables } from './forwarding-tables.js';
import { askForPart, frameKind } from './gate-questions.js';
import type { Handing } from './handing.js';
import { GROUP } from './mac-address.js';
import { FRAME_BYTES_MAX, type Passage } from './passage.js';
import type { SwitchPort } from './switch-port.js';

const WIRE = 0;
/** In place of a port: such frames have to be looked at one by one. */
const NOWHERE = -1;
/** In place of an answer: the frame was not looked at. */
export const UNDECIDED = -1;

/** In place of an epoch: the way is not kept. */
const NEVER = -1;

/**
 * The short way of frames whose Ethernet header says all that there is to be decided, which go to one port as they came:
 * the way of the last one is kept at each port, until anything is set. What depends on what was learnt is decided anew for
 * each part of a run.
 */
export class RunPath {
  private readonly tables: ForwardingTables;
  private readonly forwarding: Forwarding;
  private readonly handing: Handing;
  /** Whom the part at hand is from, in its VLAN, where that is to be learnt. */
  private learns = false;
  private fromLow = 0;
  private fromHigh = 0;
  private vlan = 0;

  constructor(tables: ForwardingTables, forwarding: Forwarding, handing: Handing) {
    this.tables = tables;
    this.forwarding = forwarding;
    this.handing = handing;
  }

  /** One frame in one range. @returns DELIVERED, or UNDECIDED for a frame that is not such a one */
  forwardOne(frame: Frame, from: SwitchPort, passage: Passage): number {
    passage.partOf(frame);
    const { part } = passage;
    const to = this.wayOf(part, from, passage);
    if (to === NOWHERE || frame.length > this.tables.ports[to]!.settings.longestFrame) return UNDECIDED;
    const admitted = askForPart(this.tables.options.gate, from, part, to === WIRE);
    if (admitted === DELIVERED.FULL) return admitted;
    if (admitted === DELIVERED.DROPPED) return this.loseNext(0, part, from, passage);
    return this.hand(to, from, passage) === 1 ? DELIVERED.ACCEPTED : DELIVERED.FULL;
  }

  /** The first frames of a run. @returns how many were dealt with: each of them is with its receiver, or lost */
  forward(run: FrameRun, from: SwitchPort, passage: Passage): number {
    const { ports, options } = this.tables;
    const { part } = passage;
    let done = 0;
    while (done < run.count) {
      takeAlike(run, done, FRAME_BYTES_MAX, part);
      if (part.count === 0) break;
      const to = this.wayOf(part, from, passage);
      if (to === NOWHERE || !fits(part, ports[to]!.settings.longestFrame)) break;
      const admitted = askForPart(options.gate, from, part, to === WIRE);
      const { count } = part;
      const gone = count === 0 ? 0 : this.hand(to, from, passage);
      done += gone;
      if (gone < count || admitted === DELIVERED.FULL) break;
      if (admitted === DELIVERED.DROPPED) {
        // Cut off behind what may go: the frame that is lost is the next one.
        this.loseNext(gone, part, from, passage);
        done++;
      }
    }
    return done;
  }

  /** Hand the passage's part on, and learn whom it is from. @returns how many frames went, or were lost */
  private hand(to: number, from: SwitchPort, passage: Passage): number {
    const { tables, learns, fromLow, fromHigh, vlan } = this;
    const gone = this.handing.handPart(passage, from, tables.ports[to]!);
    // Frames may have come by while these were handed on: what was found of these was taken down before.
    if (learns && gone > 0) tables.learnAddress(from, fromLow, fromHigh, vlan, gone);
    return gone;
  }

  private loseNext(index: number, part: FrameRun, from: SwitchPort, passage: Passage): Delivered {
    passage.enterTagged(part, index, from.settings.portVlan);
    return this.handing.lose(passage.bytes, from, ESWITCH_DROP.STORM, passage.head.frame());
  }

  /** Where frames with the header of a part go; NOWHERE in particular. */
  private wayOf(part: FrameRun, from: SwitchPort, passage: Passage): number {
    const { word0, word1, word2, type16 } = part;
    const { epoch } = this.tables;
    const isLast = word0 === from.word0 && word1 === from.word1 && word2 === from.word2 && type16 === from.type16;
    if (isLast && from.knownAt === epoch) {
      this.learns = false;
      return from.knownTo;
    }
    from.word0 = word0;
    from.word1 = word1;
    from.word2 = word2;
    from.type16 = type16;
    from.knownTo = this.findWay(part, from, passage);
    from.knownAt = this.learns ? NEVER : epoch;
    return from.knownTo;
  }

  private findWay(part: FrameRun, from: SwitchPort, passage: Passage): number {
    const { tables } = this;
    this.learns = false;
    if (tables.rules.length > 0 || !tables.mirrors.isEmpty || from.kind === 'representor') return NOWHERE;
    tables.refresh();
    const { head, decision } = passage;
    passage.enterOf(part, 0);
    if (head.etherType < 0 || head.tags > 0) return NOWHERE;
    if (!this.isLasting(passage)) {
      // Groups have several receivers mostly. From a station to itself the second frame would go another way than the first,
      // which says where the station is.
      if ((head.toLow & GROUP) !== 0 || (head.toLow === head.fromLow && head.toHigh === head.fromHigh)) return NOWHERE;
      this.learns = true;
    }
    this.forwarding.decide(from, head, ETHERNET.SIZE, decision);
    from.knownKind = frameKind(head, decision);
    this.fromLow = head.fromLow;
    this.fromHigh = head.fromHigh;
    this.vlan = head.vlan;
    const isOne = decision.drop === NO_DROP && decision.count === 1 && decision.portDrop[0] === NO_DROP;
    // The tag that the sender's port VLAN puts in comes out again where the receiver's port has the same.
    const asItCame = from.settings.portVlan === undefined ? FORM.WHOLE : FORM.WITHOUT_TAG;
    const isWay = isOne && decision.form[0] === asItCame && decision.port[0] !== from.number;
    return isWay ? decision.port[0]! : NOWHERE;
  }

  /** What is learnt comes and goes without notice: only what settings say is kept. */
  private isLasting({ head }: Passage): boolean {
    const { learned, stations } = this.tables;
    if (learned === undefined) return true;
    return stations.find(head.fromLow, head.fromHigh) >= 0 && stations.find(head.toLow, head.toHigh) >= 0;
  }
}

/** Whether a receiver takes frames as long as those of a run. */
function fits({ ranges, first, count, skip, bytes }: FrameRun, longest: number): boolean {
  if (bytes <= longest) return true;
  const { length } = ranges;
  for (let at = first; at < first + count; at++) if (length[at]! - skip > longest) return false;
  return true;
}
