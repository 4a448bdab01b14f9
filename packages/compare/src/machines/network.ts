import { ESWITCH_AREA_BYTES, Eswitch } from '@ringwire/eswitch';
import { RangeList } from '@ringwire/guest-memory';
import { Frame, LearningSwitch, type NetBackend } from '@ringwire/net-backend';
import type { Ledger } from '../ledger.js';
import { copiedPort } from './copied-port.js';
import { Lab } from './lab.js';

/** Places of a network: the guests' on the first host, the second host's, and the hosts' own. */
const GUEST = 1;
export const OTHER_HOST = 2;
const OWN = 3;
const PLACES = 4;
const FRAME_BYTES = 60;

/** What the devices of all guests are plugged into, wherever they are. */
export interface Network {
  /** @param place a guest's number, OTHER_HOST, or anything else: a port of the hosts' own */
  port(place: number): NetBackend;
  /** Guest 1 is at the other host from now on. */
  follow(): void;
}

/** A switch in software of the hosts', which copies each frame. */
export function hostNetwork(lab: Lab, ledger: Ledger): Network {
  const { ports } = new LearningSwitch(PLACES);
  return {
    port: (place) => copiedPort(ports[placeOf(place)]!, ledger),
    follow: () => {
      ports[OTHER_HOST]!.receive(announcement(lab));
    },
  };
}

/** The switch in a card; the host says whose address is where. */
export function cardNetwork(lab: Lab): Network {
  const at = lab.own.allocate(ESWITCH_AREA_BYTES);
  const { virtual } = new Eswitch({ memory: lab.memory, at, virtualFunctions: PLACES, now: () => 0, floating: true });
  for (const [place, port] of virtual.entries())
    port.configure({ mac: Lab.mac(place === OTHER_HOST ? PLACES : place) });
  return {
    port: (place) => virtual[placeOf(place)]!.backend,
    follow: () => {
      virtual[GUEST]!.configure({ mac: Lab.mac(OTHER_HOST) });
      virtual[OTHER_HOST]!.configure({ mac: Lab.mac(GUEST) });
    },
  };
}

const placeOf = (place: number): number => (place >= 0 && place < OWN ? place : OWN);

/** What a host sends for a guest that came: switches learn where its address is now, and nobody else is bothered. */
function announcement({ memory, own }: Lab): Frame {
  const at = own.allocate(FRAME_BYTES);
  memory.u8.set(Lab.mac(GUEST), at);
  memory.u8.set(Lab.mac(GUEST), at + 6);
  const frame = new Frame(memory);
  frame.ranges = new RangeList();
  frame.ranges.push(at, FRAME_BYTES);
  frame.end = 1;
  frame.length = FRAME_BYTES;
  return frame;
}
