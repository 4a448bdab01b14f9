import type { HostMemory } from '@ringwire/guest-memory';
import {
  type CableOptions,
  FrameQueue,
  LoopbackBackend,
  type NetBackend,
  NullBackend,
  SharedCable,
} from '@ringwire/net-backend';
import { type DeviceModel, EntropyModel, NetDevice } from '@ringwire/virtio-device';
import { VirtioError } from '@ringwire/virtio-spec';
import type { DeviceKeeper } from './device-keeper.js';
import { ParkingSpot } from './parking-spot.js';
import { cableOf, cablePlaceOf } from './sleeping-places.js';
import type { BackendConfig, ModelConfig, NetModelConfig } from './thread-config.js';

/** What a module of a user's own exports: makes its device type in the device's thread. */
export type CreateModel = (options: unknown, memory: HostMemory) => DeviceModel | Promise<DeviceModel>;

/** Make the device type that a thread runs. @throws VirtioError for one that cannot be */
export async function buildModel(config: ModelConfig, memory: HostMemory): Promise<DeviceModel> {
  switch (config.type) {
    case 'entropy':
      return new EntropyModel((bytes) => crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>), config.queueSize);
    case 'net': {
      const { backend, ...options } = netOptions(config, memory);
      return new NetDevice({ ...options, backend: backendOf(backend as BackendConfig, memory) });
    }
    case 'module': {
      const { createModel } = (await import(config.url)) as { createModel?: CreateModel };
      if (typeof createModel === 'function') return createModel(config.options, memory);
      throw new VirtioError('model.url', config.url, 'a module that exports createModel', 'DeviceThread');
    }
    default:
      return config satisfies never;
  }
}

/** Make the network device of a protected thread. @throws VirtioError for one that cannot be */
export function buildKeptNet(config: NetModelConfig, memory: HostMemory, keeper: DeviceKeeper): NetDevice {
  const { backend, ...options } = netOptions(config, memory);
  const cable = { exact: true, goesOn: keeper.hasFunction };
  return new NetDevice({ ...options, backend: backendOf(backend as BackendConfig, memory, cable), journal: keeper });
}

/** Options of a network device, but for what its threads make of its backends. */
export function netOptions(
  { type: _, mac, ...options }: NetModelConfig,
  memory: HostMemory,
): Omit<NetModelConfig, 'type' | 'mac'> & { mac: Uint8Array; memory: HostMemory } {
  return { ...options, mac: Uint8Array.from(mac), memory };
}

/** @param options of a cable's end */
export function backendOf(config: BackendConfig, memory: HostMemory, options?: CableOptions): NetBackend {
  switch (config.type) {
    case 'null':
      return new NullBackend();
    case 'loopback':
      return new LoopbackBackend(new FrameQueue(memory, config.at, config.bytes, config.frames ?? 1024));
    case 'cable': {
      const cable = cableOf(config);
      const { words, at } = cablePlaceOf(memory.wasm!, cable, 1 - config.end);
      const other = new ParkingSpot(words, at);
      return new SharedCable(memory, cable, config.end, () => other.wake(), options);
    }
    default:
      return config satisfies never;
  }
}
