/** What a device's worker runs: it waits for its one message, builds the device, and serves it until it is closed. */
import { HostMemory } from '@ringwire/guest-memory';
import { ownPrivateArrays } from '@ringwire/ring-loops';
import { saveDevice, type VirtioDevice } from '@ringwire/virtio-device';
import { buildModel } from './build-model.js';
import { buildSpace } from './build-space.js';
import { ControlModel } from './control-model.js';
import { declareDead, type ThreadPlace } from './dead-device.js';
import { GATE, serveKept, serveOnce, waitAtGate } from './kept-worker.js';
import { declareLaneDead } from './queue-board.js';
import { boardLayoutOf, buildControlModel, buildLane, controlLayoutOf } from './queue-threads.js';
import { rehearse } from './rehearsal.js';
import { linkPlaceOf, serveDevice } from './serve-device.js';
import { deviceSpotOf, sleepingPlaceOf, unplugCables } from './sleeping-places.js';
import { Supervisor } from './supervisor.js';
import { isSupervisorOrder, type SupervisorOrder, ToSupervisorSchema } from './supervisor-messages.js';
import type { FromWorker, ThreadOrder } from './thread-config.js';
import { evictBus } from './thread-owners.js';
import { parseAs, ThreadOrderSchema } from './thread-schema.js';
import { workerPort } from './thread-worker.js';

const port = workerPort();
/** What is done and said when the thread exits in the middle of what it does: its owner hears of the exit much later. */
let exiting = (code: number): void => post({ type: 'failed', reason: `exit with code ${code}` });
const post = (message: FromWorker): void => port.post(message);

/** @returns what is said at its end */
async function run(order: ThreadOrder): Promise<'closed' | 'left'> {
  const { config, words, again, board, lane, owners, kept } = order;
  const memory = HostMemory.adopt(config.memory);
  ownPrivateArrays(memory, owners.memory);
  const space = buildSpace(config.space, memory, owners.bus);
  if (kept !== undefined) {
    const { gate } = kept;
    rehearse(config, serveOnce, () => Atomics.load(gate, 0) !== GATE.WAIT);
    if (!waitAtGate(kept, () => post({ type: 'standing' }))) {
      space.close();
      return 'closed';
    }
  }
  const running = (): void => post({ type: 'ready' });
  let isLeft = false;
  if (kept !== undefined) isLeft = serveKept(linkPlaceOf(config, words), config, kept, memory, space, again, running);
  else if (board !== undefined && lane !== undefined) buildLane(config, words, board, lane, memory, space.space).run();
  else {
    const model =
      board === undefined ? await buildModel(config.model, memory) : buildControlModel(config, words, board, memory);
    const { offer, admin, vectors, budget, spinTurns } = config;
    const given = { ...(offer === undefined ? {} : { offer }), ...(admin === undefined ? {} : { admin }) };
    const served = { model, space: space.space, translated: space.translated, vectors, budget, spinTurns, ...given };
    const control = model instanceof ControlModel ? model : undefined;
    const inspect = (device: VirtioDevice): void =>
      post({ type: 'saved', device: saveDevice(device, control?.snapshotOf(device)) });
    const accessed = control === undefined ? {} : { accessed: (device: VirtioDevice) => control.follow(device) };
    serveDevice(linkPlaceOf(config, words), { ...served, running, inspect, ...accessed }, again);
  }
  space.close();
  return isLeft ? 'left' : 'closed';
}

function supervise(order: SupervisorOrder): void {
  exiting = () => {};
  const supervisor = new Supervisor(order, (message) => port.post(message));
  port.onMessage((value) => {
    const { type } = parseAs(ToSupervisorSchema, value, 'supervisor');
    if (type === 'end') supervisor.endThread();
    else if (type === 'back') supervisor.failBack();
    else if (type === 'restart') supervisor.restart();
    else supervisor.close();
  });
}

function start(message: unknown): void {
  if (isSupervisorOrder(message)) {
    supervise(message);
    return;
  }
  const order = parseAs(ThreadOrderSchema, message, 'device worker');
  const { config, words, board, lane, owners, kept } = order;
  const layout = controlLayoutOf(config);
  const leaveBus = (): void => evictBus(config.space, owners.bus);
  const unplug = (): void => unplugCables(config);
  const place: ThreadPlace = { words, layout, transport: config.transport, leaveBus, unplug };
  const controlSpot = deviceSpotOf(words, layout, sleepingPlaceOf(config));
  const declare = (): void => {
    // Another thread goes on: its owner sees to that.
    if (kept !== undefined) return;
    if (board === undefined || lane === undefined) declareDead(place);
    else declareLaneDead({ board, layout: boardLayoutOf(config), lane, leaveBus }, () => controlSpot.wake());
  };
  const sayExit = exiting;
  exiting = (code) => {
    declare();
    sayExit(code);
  };
  const end = (message: FromWorker): void => {
    post(message);
    exiting = () => {};
    port.close();
  };
  run(order).then(
    (type) => end({ type }),
    (error: unknown) => {
      declare();
      end({ type: 'failed', reason: String(error) });
    },
  );
}

port.onExit((code) => exiting(code));
port.onFirstMessage(start);
