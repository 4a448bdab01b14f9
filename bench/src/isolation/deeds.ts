import type { HostileFunction } from './hostile-function.js';

/** One kind of harm, done over and over. */
export interface Deed {
  readonly name: string;
  /** What is done at one moment. @param turn counts from 0 */
  act(hostile: HostileFunction, turn: number): void;
}

const times = (count: number, what: () => void): void => {
  for (let n = 0; n < count; n++) what();
};

/** Turns after which a function that is broken by now is brought up anew, so that there is something to break. */
const LIFE = 8;

/** What a guest can do to its function without sending anything. Each is followed by whatever the card makes of it. */
export const SILENT_DEEDS: readonly Deed[] = [
  {
    name: 'register storm',
    act: (hostile) => times(64, () => hostile.register()),
  },
  {
    name: 'configuration storm',
    act: (hostile) => times(16, () => hostile.config()),
  },
  {
    name: 'mailbox storm',
    act: (hostile) => times(16, () => hostile.mail()),
  },
  {
    name: 'kick storm',
    act: (hostile) => times(64, () => hostile.kick()),
  },
  {
    name: 'broken descriptors',
    act: (hostile, turn) => {
      if (turn % LIFE === LIFE - 1) hostile.revive();
      hostile.scribble(1024);
      times(8, () => hostile.kick());
    },
  },
  {
    name: 'IOMMU faults',
    act: (hostile, turn) => {
      if (turn % LIFE === LIFE - 1) hostile.revive();
      hostile.misaddress();
      // Frames come to it meanwhile: they find the buffers. Doorbells at last, which may break what is left.
      if (turn % LIFE === LIFE - 2) times(16, () => hostile.kick());
    },
  },
  {
    name: 'function-level resets',
    act: (hostile, turn) => {
      if (turn % 2 === 0) hostile.revive();
      hostile.kick();
      hostile.reset();
    },
  },
  {
    name: 'MSI-X masks',
    act: (hostile) => times(32, () => hostile.mask()),
  },
];
