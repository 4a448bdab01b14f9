import { VirtioError } from '@ringwire/virtio-spec';
import { type ControlLayout, checkControl, controlLayout, LIFE } from './control-layout.js';
import type { LinkPlace } from './device-link.js';
import { InterruptRaiser } from './interrupt-words.js';
import { ACCESS_KIND, type Serve, serveMailbox } from './mailbox.js';
import { milliseconds } from './platform.js';
import { POSTED_WORDS, PostedWrites } from './posted-writes.js';
import { closePlace, newLinkPlace } from './serve-device.js';
import { deviceSpotOf } from './sleeping-places.js';

/** A PCI function as its driver reaches it: `PciFunction`, or what a host gives a guest of one. */
export interface ReachableFunction {
  configRead(offset: number, size: number): number;
  configWrite(offset: number, size: number, value: number): void;
  barRead(bar: number, offset: number, size: number): number;
  barWrite(bar: number, offset: number, size: number, value: number): void;
}

/** What a thread with several functions does beside answering their drivers. */
export interface FunctionWork {
  /** In the order of the places. */
  readonly functions: readonly ReachableFunction[];
  /** Do a bounded amount of work for all of them. @returns 0: nothing to do until an access, or the deadline */
  step(): number;
  /** When `step` is to be called at the latest, in µs of the platform's clock; Infinity when nothing waits. */
  deadline(): number;
  /** Steps without work before the thread sleeps; 100 unless given. */
  readonly spinTurns?: number;
}

const SPIN_TURNS = 100;
/** Longest sleep, so that a clock that stands still is no reason to sleep for ever. */
const SLEEP_MS = 1000;

/**
 * Places for functions that one thread serves, such as those of one card: drivers in other threads reach each by a
 * `DeviceLink`. The thread sleeps in one spot for all of them.
 * @param count of functions, 1 or more @param vectors MSI-X vectors of each
 * @throws VirtioError for no function
 */
export function newFunctionPlaces(count: number, vectors = 8): LinkPlace[] {
  if (!Number.isInteger(count) || count < 1)
    throw new VirtioError('count', count, 'an integer from 1 on', 'newFunctionPlaces');
  const [first, ...rest] = Array.from({ length: count }, () =>
    newLinkPlace({ transport: 'pci', doorbells: 1, vectors }),
  ) as [LinkPlace, ...LinkPlace[]];
  const spot = { words: first.words, at: controlLayout(first).deviceSpot };
  return [first, ...rest].map((place) => {
    const posted = new Int32Array(new SharedArrayBuffer(POSTED_WORDS * 4));
    return { ...place, spot, posted };
  });
}

/** End {@link FunctionServer.run} in the thread that is in it. */
export function closeFunctions(places: readonly LinkPlace[]): void {
  // The first one's is the word that the thread looks at: it comes last.
  for (const place of places.toReversed()) closePlace(place);
}

/** Serves several functions in this thread: register accesses of their drivers, and the work that all have together. */
export class FunctionServer {
  private readonly places: readonly ServedPlace[];
  private readonly raisers: readonly InterruptRaiser[];
  private readonly first: LinkPlace;

  /** @param places of {@link newFunctionPlaces} @throws VirtioError for places that are none */
  constructor(places: readonly LinkPlace[]) {
    this.first = places[0]!;
    this.places = places.map((place) => {
      const layout = controlLayout(place);
      checkControl(place.words, layout);
      if (place.posted === undefined || place.posted.length < POSTED_WORDS)
        throw new VirtioError('posted', place.posted?.length ?? 0, `${POSTED_WORDS} words`, 'FunctionServer');
      return { words: place.words, layout, posted: new PostedWrites(place.posted) };
    });
    this.raisers = this.places.map(({ words, layout }) => new InterruptRaiser(words, layout));
  }

  /** A function's message, for its driver's thread. @param at place of the function @param vector below those of the place */
  message(at: number, addressLow: number, addressHigh: number, data: number, vector: number): void {
    this.raisers[at]!.message(addressLow, addressHigh, data, vector);
  }

  /** Answer accesses and work, until {@link closeFunctions} is called in another thread. */
  run({ functions, step, deadline, spinTurns = SPIN_TURNS }: FunctionWork): void {
    const { places } = this;
    const spot = deviceSpotOf(places[0]!.words, places[0]!.layout, this.first.spot);
    for (const { words, layout } of places) {
      Atomics.compareExchange(words, layout.state, LIFE.STARTING, LIFE.RUNNING);
      Atomics.notify(words, layout.state);
    }
    const writes = functions.map(
      (to): WriteBar =>
        (...access) =>
          to.barWrite(...access),
    );
    const serves = functions.map((to, at): Serve => {
      const serve = serveOf(to);
      // What was written before this access is done before it.
      return (...access) => {
        places[at]!.posted.serve(writes[at]!);
        return serve(...access);
      };
    });
    const turn = (): boolean => {
      let asked = false;
      for (let at = 0; at < places.length; at++) {
        const { words, layout, posted } = places[at]!;
        if (posted.serve(writes[at]!)) asked = true;
        if (serveMailbox(words, layout.mailbox, serves[at]!)) asked = true;
      }
      return step() > 0 || asked;
    };
    for (let idle = 0; this.isWanted(); ) {
      idle = turn() ? 0 : idle + 1;
      if (idle <= spinTurns) continue;
      idle = 0;
      spot.arm();
      // The turn behind arming is the second look that a spot asks for.
      const left = turn() || !this.isWanted() ? 0 : Math.min(SLEEP_MS, deadline() / 1000 - milliseconds());
      if (left > 0) spot.sleep(left);
      else spot.disarm();
    }
    for (const { words, layout } of places) Atomics.store(words, layout.state, LIFE.CLOSED);
  }

  private isWanted(): boolean {
    const { words, layout } = this.places[0]!;
    return Atomics.load(words, layout.state) === LIFE.RUNNING;
  }
}

/** What there is to one function's place in its thread. */
interface ServedPlace {
  readonly words: Int32Array;
  readonly layout: ControlLayout;
  readonly posted: PostedWrites;
}

type WriteBar = ReachableFunction['barWrite'];

function serveOf(of: ReachableFunction): Serve {
  return (kind, offset, size, value) => {
    if (kind === ACCESS_KIND.CONFIG_READ) return of.configRead(offset, size);
    if (kind === ACCESS_KIND.CONFIG_WRITE) of.configWrite(offset, size, value);
    if (kind < ACCESS_KIND.BAR_READ) return kind === ACCESS_KIND.CONFIG_WRITE ? 0 : 0xffff_ffff;
    const bar = (kind - ACCESS_KIND.BAR_READ) >> 1;
    if ((kind & 1) === 0) return of.barRead(bar, offset, size);
    of.barWrite(bar, offset, size, value);
    return 0;
  };
}
