import type { CountingPort, WireControl } from '@ringwire/eswitch';
import { byName, type Labels, type Metric, type Sample } from './metric.js';
import { type NicCard, portDrops } from './nic-card.js';
import { portName } from './nic-names.js';
import type { ServedPorts } from './serve-ports.js';

const BITS_PER_MBIT = 1_000_000;

/** Of each function of a card, the physical one among them. */
const byFunction = (
  { card }: ServedPorts,
  samples: (labels: Labels, port: CountingPort, card: NicCard) => Sample[],
): Sample[] =>
  card === undefined
    ? []
    : [card.eswitch.physical, ...card.vfs].flatMap((port) => samples({ function: portName(port.number) }, port, card));

const ofWire = ({ card }: ServedPorts, samples: (wire: WireControl, card: NicCard) => Sample[]): Sample[] =>
  card === undefined ? [] : samples(card.wire, card);

const ofRules = ({ card }: ServedPorts, counter: 'frames' | 'bytes'): Sample[] =>
  card === undefined
    ? []
    : card.eswitch.flowRules.map(({ name = '' }, at) => [{ rule: `${at}`, name }, card.eswitch.rules[at]![counter]]);

/** Of a card with SR-IOV. */
export const CARD_METRICS: readonly Metric[] = [
  {
    name: 'ringwire_function_link_up',
    type: 'gauge',
    labels: ['function'],
    help: 'Whether frames pass at a function of the card, pf or vf0.',
    samples: (served) => byFunction(served, (labels, { isUp }) => [[labels, isUp ? 1 : 0]]),
  },
  {
    name: 'ringwire_function_frames_total',
    type: 'counter',
    labels: ['function', 'direction'],
    help: 'Frames from (tx) a function, dropped ones among them, and to it (rx).',
    samples: (served) =>
      byFunction(served, (labels, { counters: { inFrames, outFrames } }) =>
        byName(labels, { tx: inFrames, rx: outFrames }, 'direction'),
      ),
  },
  {
    name: 'ringwire_function_bytes_total',
    type: 'counter',
    labels: ['function', 'direction'],
    help: 'Bytes of these frames.',
    samples: (served) =>
      byFunction(served, (labels, { counters: { inBytes, outBytes } }) =>
        byName(labels, { tx: inBytes, rx: outBytes }, 'direction'),
      ),
  },
  {
    name: 'ringwire_function_drops_total',
    type: 'counter',
    labels: ['function', 'reason'],
    help: 'Frames that were dropped at a function, by reason.',
    samples: (served) => byFunction(served, (labels, port) => byName(labels, portDrops(port), 'reason')),
  },
  {
    name: 'ringwire_function_held_back_total',
    type: 'counter',
    labels: ['function'],
    help: 'How often a function had to wait: for its rate, for others, or for the wire.',
    samples: (served) =>
      byFunction(served, (labels, { number }, { arbiter }) => [[labels, arbiter.countersOf(number).turnedAway]]),
  },
  {
    name: 'ringwire_wire_link_up',
    type: 'gauge',
    labels: [],
    help: "Whether the card's wire has a link.",
    samples: (served) => ofWire(served, ({ link }) => [[{}, link.isUp ? 1 : 0]]),
  },
  {
    name: 'ringwire_wire_speed_bits_per_second',
    type: 'gauge',
    labels: [],
    help: 'Speed of the wire.',
    samples: (served) => ofWire(served, ({ link }) => [[{}, link.speed * BITS_PER_MBIT]]),
  },
  {
    name: 'ringwire_wire_full_duplex',
    type: 'gauge',
    labels: [],
    help: 'Whether both ends of the wire may send at once.',
    samples: (served) => ofWire(served, ({ link }) => [[{}, link.duplex === 'full' ? 1 : 0]]),
  },
  {
    name: 'ringwire_wire_frames_total',
    type: 'counter',
    labels: ['direction'],
    help: 'Frames that passed the wire, PAUSE frames among them.',
    samples: (served) =>
      ofWire(served, ({ counters: { sentFrames, receivedFrames } }) =>
        byName({}, { sent: sentFrames, received: receivedFrames }, 'direction'),
      ),
  },
  {
    name: 'ringwire_wire_bytes_total',
    type: 'counter',
    labels: ['direction'],
    help: 'Bytes of these frames.',
    samples: (served) =>
      ofWire(served, ({ counters: { sentBytes, receivedBytes } }) =>
        byName({}, { sent: sentBytes, received: receivedBytes }, 'direction'),
      ),
  },
  {
    name: 'ringwire_wire_pauses_total',
    type: 'counter',
    labels: ['direction'],
    help: 'PAUSE frames, those that say to go on among them.',
    samples: (served) =>
      ofWire(served, ({ counters: { pausesSent, pausesReceived } }) =>
        byName({}, { sent: pausesSent, received: pausesReceived }, 'direction'),
      ),
  },
  {
    name: 'ringwire_wire_resumes_total',
    type: 'counter',
    labels: ['direction'],
    help: 'PAUSE frames that say to go on.',
    samples: (served) =>
      ofWire(served, ({ counters: { resumesSent, resumesReceived } }) =>
        byName({}, { sent: resumesSent, received: resumesReceived }, 'direction'),
      ),
  },
  {
    name: 'ringwire_wire_pauses_ignored_total',
    type: 'counter',
    labels: [],
    help: 'PAUSE frames that came and were not heeded: the wire is set not to.',
    samples: (served) => ofWire(served, ({ counters }) => [[{}, counters.pausesIgnored]]),
  },
  {
    name: 'ringwire_wire_drops_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Frames that were lost at the wire, by the reason of the wire (in lower case) or of the switch behind it.',
    samples: (served) =>
      ofWire(served, ({ counters: { drops } }, { eswitch }) => {
        // Of what came by the wire the switch counts why it was not taken.
        const { card: _, ...own } = drops;
        return [...byName({}, own, 'reason'), ...byName({}, portDrops(eswitch.wire), 'reason')];
      }),
  },
  {
    name: 'ringwire_wire_waiting_frames',
    type: 'gauge',
    labels: [],
    help: 'Frames that wait to be sent by the wire, are on it, or wait for the card.',
    samples: (served) => ofWire(served, (_, { wire }) => [[{}, wire.waiting]]),
  },
  {
    name: 'ringwire_rule_frames_total',
    type: 'counter',
    labels: ['rule', 'name'],
    help: 'How often a flow rule matched, since the rules were set.',
    samples: (served) => ofRules(served, 'frames'),
  },
  {
    name: 'ringwire_rule_bytes_total',
    type: 'counter',
    labels: ['rule', 'name'],
    help: 'Bytes of these frames.',
    samples: (served) => ofRules(served, 'bytes'),
  },
];
