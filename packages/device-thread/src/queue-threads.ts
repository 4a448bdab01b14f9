import type { AddressSpace, HostMemory } from '@ringwire/guest-memory';
import { NullBackend } from '@ringwire/net-backend';
import { NetDevice } from '@ringwire/virtio-device';
import { VirtioError } from '@ringwire/virtio-spec';
import { backendOf, netOptions } from './build-model.js';
import { type ControlLayout, controlLayout } from './control-layout.js';
import { ControlModel } from './control-model.js';
import { Handover, partScratch } from './handover.js';
import { ParkingSpot } from './parking-spot.js';
import { type BoardLayout, boardLayout } from './queue-board.js';
import { QueueLane } from './queue-lane.js';
import { deviceSpotOf, laneBackends, lanePlacesOf, sleepingPlaceOf } from './sleeping-places.js';
import type { CompleteThreadConfig, NetModelConfig } from './thread-config.js';

/** ms that a queue thread has to come up, or to carry out an order. */
const PATIENCE_MS = 5000;

/** The board of a device with queue threads. */
export function boardLayoutOf(config: CompleteThreadConfig): BoardLayout {
  const { pairs = 1 } = config.model as NetModelConfig;
  return boardLayout({ lanes: laneBackends(config).length, pairs });
}

export function controlLayoutOf(config: CompleteThreadConfig): ControlLayout {
  return controlLayout({ ...config, lanes: laneBackends(config).length });
}

/** @throws VirtioError for queue threads that a device cannot have */
export function checkLanes(config: CompleteThreadConfig): void {
  const lanes = laneBackends(config).length;
  if (lanes === 0) return;
  const { pairs = 1, scratch } = config.model as NetModelConfig;
  if (lanes > pairs)
    throw new VirtioError('model.backend', lanes, `at most one for each of ${pairs} pairs`, 'DeviceThread');
  if (scratch % 64 !== 0) throw new VirtioError('model.scratch', scratch, 'a multiple of 64', 'DeviceThread');
}

/** What both kinds of threads of a device know: two blocks of words, and where everybody sleeps. */
function placesOf(
  config: CompleteThreadConfig,
  words: Int32Array,
): { words: Int32Array; layout: ControlLayout; boardLayout: BoardLayout; spots: ParkingSpot[] } {
  const layout = controlLayoutOf(config);
  const spots = lanePlacesOf(config, words, layout).map((place) => new ParkingSpot(place.words, place.at));
  return { words, layout, boardLayout: boardLayoutOf(config), spots };
}

/** The device type of the control thread of a device with queue threads. @throws VirtioError for one that cannot be */
export function buildControlModel(
  config: CompleteThreadConfig,
  words: Int32Array,
  board: Int32Array,
  memory: HostMemory,
): ControlModel {
  const model = config.model as NetModelConfig;
  const places = placesOf(config, words);
  const ownerSpot = new ParkingSpot(words, places.layout.ownerSpot);
  const { backend, ...options } = netOptions(model, memory);
  return new ControlModel(
    { ...places, board, ownerSpot, patienceMs: PATIENCE_MS },
    { ...options, scratch: partScratch(model.scratch, 0), backend: new NullBackend() },
  );
}

/** One queue thread of a device. @throws VirtioError for a device that cannot be */
export function buildLane(
  config: CompleteThreadConfig,
  words: Int32Array,
  board: Int32Array,
  lane: number,
  memory: HostMemory,
  space: AddressSpace,
): QueueLane {
  const model = config.model as NetModelConfig;
  const { layout, boardLayout: places, spots } = placesOf(config, words);
  const backends = laneBackends(config);
  const flows = board.subarray(places.flows, places.flows + places.flowWords);
  const share = new Handover({ memory, scratch: model.scratch, lanes: backends.length, lane, flows, spots });
  const { backend, ...options } = netOptions(model, memory);
  const net = new NetDevice({
    ...options,
    scratch: partScratch(model.scratch, lane + 1),
    backend: backendOf(backends[lane]!, memory),
    share,
  });
  const { budget, spinTurns } = config;
  const controlSpot = deviceSpotOf(words, layout, sleepingPlaceOf(config));
  const parts = { lane, words, layout, board, boardLayout: places, net, space, spot: spots[lane]!, controlSpot };
  return new QueueLane({ ...parts, budget, spinTurns });
}
