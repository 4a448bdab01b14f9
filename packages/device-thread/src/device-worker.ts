/** What a device's worker runs: it waits for its one message, builds the device, and serves it until it is closed. */
import { HostMemory } from '@ringwire/guest-memory';
import { saveDevice, type VirtioDevice } from '@ringwire/virtio-device';
import { buildModel } from './build-model.js';
import { buildSpace } from './build-space.js';
import { SHOWN } from './control-layout.js';
import { ControlModel } from './control-model.js';
import { declareDead, type ThreadPlace } from './dead-device.js';
import { declareLaneDead, LANE_WORD, laneAt } from './queue-board.js';
import { boardLayoutOf, buildControlModel, buildLane, controlLayoutOf } from './queue-threads.js';
import { linkPlaceOf, serveDevice } from './serve-device.js';
import { deviceSpotOf, sleepingPlaceOf, unplugCables } from './sleeping-places.js';
import type { FromWorker, ThreadOrder } from './thread-config.js';
import { parseAs, ThreadOrderSchema } from './thread-schema.js';
import { workerPort } from './thread-worker.js';

const port = workerPort();
const post = (message: FromWorker): void => port.post(message);

async function run(order: ThreadOrder): Promise<void> {
  const { config, words, again, board, lane } = order;
  const memory = HostMemory.adopt(config.memory);
  const { space, translated, busPlace, close } = buildSpace(config.space, memory);
  const [places, busAt] = busWordOf(order);
  if (board !== undefined && lane !== undefined) {
    const queues = buildLane(config, words, board, lane, memory, space);
    Atomics.store(places, busAt, busPlace + 1);
    queues.run();
  } else {
    const model =
      board === undefined ? await buildModel(config.model, memory) : buildControlModel(config, words, board, memory);
    Atomics.store(places, busAt, busPlace + 1);
    const { offer, admin, vectors, budget, spinTurns } = config;
    const given = { ...(offer === undefined ? {} : { offer }), ...(admin === undefined ? {} : { admin }) };
    const served = { model, space, translated, vectors, budget, spinTurns, ...given };
    const control = model instanceof ControlModel ? model : undefined;
    const inspect = (device: VirtioDevice): void =>
      post({ type: 'saved', device: saveDevice(device, control?.snapshotOf(device)) });
    const accessed = control === undefined ? {} : { accessed: (device: VirtioDevice) => control.follow(device) };
    const running = (): void => post({ type: 'ready' });
    serveDevice(linkPlaceOf(config, words), { ...served, running, inspect, ...accessed }, again);
  }
  // The place is free for others from here on.
  Atomics.store(places, busAt, 0);
  close();
}

/** Where this thread's place on the invalidation bus is noted. */
function busWordOf({ config, words, board, lane }: ThreadOrder): [Int32Array, number] {
  if (board === undefined || lane === undefined) return [words, controlLayoutOf(config).shown + SHOWN.BUS_PLACE];
  return [board, laneAt(boardLayoutOf(config), lane) + LANE_WORD.BUS_PLACE];
}

function start(message: unknown): void {
  const order = parseAs(ThreadOrderSchema, message, 'device worker');
  const { config, words, board, lane } = order;
  const layout = controlLayoutOf(config);
  const bus = config.space.type === 'vtd' ? config.space.bus : undefined;
  const place: ThreadPlace = { words, layout, transport: config.transport, bus, unplug: () => unplugCables(config) };
  const controlSpot = deviceSpotOf(words, layout, sleepingPlaceOf(config));
  const declare = (): void => {
    if (board === undefined || lane === undefined) declareDead(place);
    else declareLaneDead({ board, layout: boardLayoutOf(config), lane, bus }, () => controlSpot.wake());
  };
  // An exit from within: the owner hears of it later, the driver now.
  port.onExit(declare);
  run(order).then(
    () => {
      post({ type: 'closed' });
      port.close();
    },
    (error: unknown) => {
      declare();
      post({ type: 'failed', reason: String(error) });
      port.close();
    },
  );
}

port.onFirstMessage(start);
