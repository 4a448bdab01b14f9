import { DELIVERED, type Frame, type FrameRun } from '@ringwire/net-backend';
import { ETHERNET } from '@ringwire/net-offload';
import { takeAlike } from './alike-run.js';
import { FORM } from './decision.js';
import { ESWITCH_DROP, NO_DROP } from './drop-reason.js';
import type { Forwarding } from './forwarding.js';
import type { ForwardingTables } from './forwarding-tables.js';
import { askForPart, frameKind } from './gate-questions.js';
import type { Handing } from './handing.js';
import { FRAME_BYTES_MAX, type Passage } from './passage.js';
import type { SwitchPort } from './switch-port.js';

const WIRE = 0;
/** In place of a port: such frames have to be looked at one by one. */
const NOWHERE = -1;
/** In place of an answer: the frame was not looked at. */
export const UNDECIDED = -1;

/**
 * The short way of frames whose Ethernet header says all that there is to be decided, which go to one port as they are:
 * the way of the last one is kept at each port, until anything is set.
 */
export class RunPath {
  private readonly tables: ForwardingTables;
  private readonly forwarding: Forwarding;
  private readonly handing: Handing;

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
    if (admitted === DELIVERED.DROPPED) return this.handing.lose(frame.length, from, ESWITCH_DROP.STORM, frame);
    return this.handing.handPart(passage, from, this.tables.ports[to]!) === 1 ? DELIVERED.ACCEPTED : DELIVERED.FULL;
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
      const gone = count === 0 ? 0 : this.handing.handPart(passage, from, ports[to]!);
      done += gone;
      if (gone < count || admitted === DELIVERED.FULL) break;
      if (admitted === DELIVERED.DROPPED) {
        // Cut off behind what may go: the frame that is lost is the next one.
        passage.enterOf(part, gone);
        const { head } = passage;
        this.handing.lose(head.length, from, ESWITCH_DROP.STORM, head.frame());
        done++;
      }
    }
    return done;
  }

  /** Where frames with the header of a part go; NOWHERE in particular. */
  private wayOf(part: FrameRun, from: SwitchPort, passage: Passage): number {
    const { word0, word1, word2, type16 } = part;
    const { epoch } = this.tables;
    const isLast = word0 === from.word0 && word1 === from.word1 && word2 === from.word2 && type16 === from.type16;
    if (isLast && from.knownAt === epoch) return from.knownTo;
    from.word0 = word0;
    from.word1 = word1;
    from.word2 = word2;
    from.type16 = type16;
    from.knownTo = this.findWay(part, from, passage);
    from.knownAt = epoch;
    return from.knownTo;
  }

  private findWay(part: FrameRun, from: SwitchPort, passage: Passage): number {
    const { tables } = this;
    if (tables.rules.length > 0 || !tables.mirrors.isEmpty || from.settings.portVlan !== undefined) return NOWHERE;
    if (from.kind === 'representor') return NOWHERE;
    tables.refresh();
    const { head, decision } = passage;
    passage.enterOf(part, 0);
    if (head.etherType < 0 || head.tags > 0 || !this.isLasting(passage)) return NOWHERE;
    this.forwarding.decide(from, head, ETHERNET.SIZE, decision);
    from.knownKind = frameKind(head, decision);
    const isOne = decision.drop === NO_DROP && decision.count === 1 && decision.portDrop[0] === NO_DROP;
    return isOne && decision.form[0] === FORM.WHOLE ? decision.port[0]! : NOWHERE;
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
