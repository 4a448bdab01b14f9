/** What a device's worker runs: it waits for its one message, builds the device, and serves it until it is closed. */
import { HostMemory } from '@ringwire/guest-memory';
import { buildModel } from './build-model.js';
import { buildSpace } from './build-space.js';
import { controlLayout, LIFE, SHOWN } from './control-layout.js';
import { declareDead, type ThreadPlace } from './dead-device.js';
import { DeviceLoop } from './device-loop.js';
import { InterruptRaiser } from './interrupt-words.js';
import { saveFunction } from './saved-function.js';
import { serveMmio, servePci } from './served-device.js';
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
  const raiser = new InterruptRaiser(words, layout);
  const { offer, vectors } = config;
  const served = { model, space, translated, vectors, ...(offer === undefined ? {} : { offer }) };
  const saved = again ? saveFunction(words, layout) : undefined;
  const device =
    config.transport === 'mmio'
      ? serveMmio(words, layout, raiser, served)
      : servePci(words, layout, raiser, served, saved);
  // Unless it was closed meanwhile.
  Atomics.compareExchange(words, layout.state, LIFE.STARTING, LIFE.RUNNING);
  Atomics.notify(words, layout.state);
  post({ type: 'ready' });
  new DeviceLoop(words, layout, device, config).run();
  device.device.reset();
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
