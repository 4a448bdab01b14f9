import type { QueuePlace, VdpaDevice } from '@ringwire/vdpa';
import type { MovingRam } from '@ringwire/vdpa/testing';
import type { Ledger } from './ledger.js';

/** Format of the guests' virtqueues, where they have some. */
export type Rings = 'split' | 'packed';

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
  /** Of guests' memory, what a card may reach at any time: the host cannot take it back while the guest runs. */
  readonly pinnedBytes: number;
  /** What software of the host does for frames. @returns whether there was any */
  host(): boolean;
  /** What a card does. @returns whether there was any */
  card(): boolean;
}

/** A machine whose guest `to` can be told to go to another host. */
export interface MovingMachine extends Machine {
  readonly source: VdpaDevice;
  readonly target: VdpaDevice;
  readonly ram: MovingRam;
  /** The queues of the guest that are ready. */
  places(): readonly QueuePlace[];
  /** An interrupt of a queue for the guest's driver. */
  notify(queue: number): void;
  /** The guest is at its target: its driver, which notices nothing, and the network behind it. */
  land(): void;
}

/** A guest that does not leave: why, each reason by name. */
export interface Obstacles {
  readonly obstacles: readonly string[];
}

/** One way from guest to guest. */
export interface Architecture {
  readonly name: string;
  /** For people: what drives what. */
  readonly title: string;
  /** Drivers that a guest needs, to run on the cards of all vendors here. */
  readonly guestDrivers: readonly string[];
  /** Which hands a frame goes through. */
  readonly way: 'host' | 'vendor' | 'standard';
  /** @param isCounted devices' accesses to memory are counted, which costs time */
  open(rings: Rings, isCounted: boolean): Machine;
  /** The same with a second host: another vendor's card, where there are cards. */
  openMove(rings: Rings): MovingMachine | Obstacles;
}

export const isObstacles = (machine: MovingMachine | Obstacles): machine is Obstacles => 'obstacles' in machine;
