/** What a device's worker runs: it waits for its one message, builds the device, and serves it until it is closed. */
import { HostMemory } from '@ringwire/guest-memory';
import { buildModel } from './build-model.js';
import { buildSpace } from './build-space.js';
import { controlLayout, SHOWN } from './control-layout.js';
import { declareDead, type ThreadPlace } from './dead-device.js';
import { serveDevice } from './serve-device.js';
import type { FromWorker, ThreadOrder } from './thread-config.js';
import { parseAs, ThreadOrderSchema } from './thread-schema.js';
import { workerPort } from './thread-worker.js';

const port = workerPort();
const post = (message: FromWorker): void => port.post(message);

async function run(order: ThreadOrder): Promise<void> {
  const { config, words, again } = order;
  const layout = controlLayout(config);
  const memory = HostMemory.adopt(config.memory);
  const model = await buildModel(config.model, memory);
  const { space, translated, busPlace, close } = buildSpace(config.space, memory);
  Atomics.store(words, layout.shown + SHOWN.BUS_PLACE, busPlace + 1);
  const { transport, doorbells, offer, admin, vectors, budget, spinTurns } = config;
  const served = { model, space, translated, vectors, budget, spinTurns };
  const given = { ...(offer === undefined ? {} : { offer }), ...(admin === undefined ? {} : { admin }) };
  serveDevice(
    { words, transport, doorbells, vectors },
    { ...served, ...given, running: () => post({ type: 'ready' }) },
    again,
  );
  // The place is free for others from here on.
  Atomics.store(words, layout.shown + SHOWN.BUS_PLACE, 0);
  close();
}

function start(message: unknown): void {
  const order = parseAs(ThreadOrderSchema, message, 'device worker');
  const { config, words } = order;
  const bus = config.space.type === 'vtd' ? config.space.bus : undefined;
  const place: ThreadPlace = { words, layout: controlLayout(config), transport: config.transport, bus };
  // An exit from within: the owner hears of it later, the driver now.
  port.onExit(() => declareDead(place));
  run(order).then(
    () => {
      post({ type: 'closed' });
      port.close();
    },
    (error: unknown) => {
      declareDead(place);
      post({ type: 'failed', reason: String(error) });
      port.close();
    },
  );
}

port.onFirstMessage(start);
