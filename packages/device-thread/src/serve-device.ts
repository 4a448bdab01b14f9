import { checkControl, controlLayout, LIFE } from './control-layout.js';
import type { LinkPlace } from './device-link.js';
import { DeviceLoop, type LoopOptions } from './device-loop.js';
import { InterruptRaiser } from './interrupt-words.js';
import { saveFunction } from './saved-function.js';
import { type ServedConfig, serveMmio, servePci } from './served-device.js';
import { deviceSpotOf, laneBackends, lanePlacesOf, sleepingPlaceOf } from './sleeping-places.js';
import type { CompleteThreadConfig } from './thread-config.js';

/** A device to be served, and how its thread shares its time. */
export interface ServeConfig extends ServedConfig, LoopOptions {
  /** Called behind the first turn: whoever hears of it may take the processor. */
  readonly running?: () => void;
}

/** How much room a control block has. */
export interface PlaceOptions {
  readonly transport: 'mmio' | 'pci';
  /** Queues with a doorbell word, up to 65536; 64 unless given. */
  readonly doorbells?: number;
  /** PCI alone: most MSI-X vectors, up to 2048; 64 unless given. */
  readonly vectors?: number;
}

/** A control block for a device that {@link serveDevice} serves in a worker of the caller's own. */
export function newLinkPlace({ transport, doorbells = 64, vectors = 64 }: PlaceOptions): LinkPlace {
  const { words } = controlLayout({ doorbells, vectors });
  return { transport, doorbells, vectors, words: new Int32Array(new SharedArrayBuffer(words * 4)) };
}

/** The place of a device that is to run in a thread. @param words a control block of its size */
export function linkPlaceOf(config: CompleteThreadConfig, words: Int32Array): LinkPlace {
  const { transport, doorbells, vectors } = config;
  const spot = sleepingPlaceOf(config);
  const lanes = laneBackends(config).length;
  const laneSpots = lanePlacesOf(config, words, controlLayout({ doorbells, vectors, lanes }));
  const place = { transport, doorbells, vectors, words, ...(spot === undefined ? {} : { spot }) };
  return lanes === 0 ? place : { ...place, lanes, laneSpots };
}

/**
 * Serve a device in this thread, until {@link closePlace} is called in another one: registers, doorbells, steps, and sleep
 * when there is nothing to do. For a worker of one's own; `DeviceThread` makes one, and looks after it.
 * @param again a thread that served the place died: a PCI function goes on where it was
 * @returns whether the device was left as it is, for another thread; it was reset otherwise
 * @throws VirtioError for a place, a type or an offer that cannot be, and whatever the device type throws
 */
export function serveDevice(place: LinkPlace, config: ServeConfig, again = false): boolean {
  const { words, transport } = place;
  const layout = controlLayout(place);
  checkControl(words, layout);
  const raiser = new InterruptRaiser(words, layout);
  const saved = again ? saveFunction(words, layout) : undefined;
  const served =
    transport === 'mmio' ? serveMmio(words, layout, raiser, config) : servePci(words, layout, raiser, config, saved);
  config.accessed?.(served.device, true);
  // Unless it was closed meanwhile.
  Atomics.compareExchange(words, layout.state, LIFE.STARTING, LIFE.RUNNING);
  Atomics.notify(words, layout.state);
  const loop = new DeviceLoop(words, layout, deviceSpotOf(words, layout, place.spot), served, config);
  loop.run(() => config.running?.());
  if (!loop.leaves) served.device.reset();
  return loop.leaves;
}

/** End {@link serveDevice} in the thread that is in it. */
export function closePlace(place: LinkPlace): void {
  const layout = controlLayout(place);
  Atomics.store(place.words, layout.state, LIFE.CLOSING);
  deviceSpotOf(place.words, layout, place.spot).wake();
}
