import type { Ledger } from './ledger.js';

/** A guest's network driver at work. */
export interface Station {
  readonly mac: Uint8Array;
  /** Hand a frame to the driver. @returns false: it has no room now */
  send(frame: Uint8Array): boolean;
  /** Make what was handed over known to the device, where the driver does so in bursts. */
  flush(): void;
  /** Interrupts and polling, all that there is to do now. @returns whether there was any */
  turn(): boolean;
  /** Takes every frame that comes in, good during the call. */
  onFrame: (frame: Uint8Array) => void;
}

/** Two guests, and what lies between them. */
export interface Machine {
  readonly from: Station;
  readonly to: Station;
  readonly ledger: Ledger;
  /** What software of the host does for frames. @returns whether there was any */
  host(): boolean;
  /** What a card does. @returns whether there was any */
  card(): boolean;
}

/** One way from guest to guest. */
export interface Architecture {
  readonly name: string;
  /** For people: what drives what. */
  readonly title: string;
  /** Drivers that a guest needs, to run on the cards of all vendors here. */
  readonly guestDrivers: readonly string[];
  /** Why a running guest cannot be moved to a host with another vendor's card; undefined when it can. */
  readonly blocker: string | undefined;
  open(rings: 'split' | 'packed'): Machine;
}
