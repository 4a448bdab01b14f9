import { VirtioError } from '@ringwire/virtio-spec';
import { type KeepLayout, keepLayout } from './keep-layout.js';
import type { CompleteThreadConfig, NetModelConfig, ThreadConfig } from './thread-config.js';
import { parseAs, ThreadConfigSchema } from './thread-schema.js';

/** Which of its two configurations a thread runs. */
export type ProtectedRole = 'primary' | 'standby';

/** Of each role, checked and complete. */
export type ProtectedConfigs = Readonly<Record<ProtectedRole, CompleteThreadConfig>>;

/** What is to run in a protected thread, over PCI. */
export interface ProtectedConfig extends Omit<ThreadConfig, 'transport' | 'admin' | 'model'> {
  /** A network device of one thread. With a cable, which is to have room for 64 frames at least, none is lost or doubled. */
  readonly model: NetModelConfig;
  /** What goes on when the thread has ended: the same to a driver, with a backend of its own; the same unless given. */
  readonly standby?: NetModelConfig;
  /**
   * Host memory of the device's own, {@link protectionBytes} from here on, a multiple of 64, zeros at first: where it stands
   * is kept there.
   */
  readonly keep: number;
}

const ALIGN = 64;
const HERE = 'ProtectedThread';
const QUEUE_SIZE = 256;
const CONTROL_QUEUE_SIZE = 64;
/** What a driver would notice. */
const SAME = ['mac', 'pairs', 'mtu', 'rxQueueSize', 'txQueueSize', 'controlQueueSize', 'features', 'without'] as const;

export function keepLayoutOf(at: number, model: NetModelConfig): KeepLayout {
  const {
    pairs = 1,
    rxQueueSize = QUEUE_SIZE,
    txQueueSize = QUEUE_SIZE,
    controlQueueSize = CONTROL_QUEUE_SIZE,
  } = model;
  const sizes = Array.from({ length: pairs }, () => [rxQueueSize, txQueueSize]).flat();
  return keepLayout(at, [...sizes, controlQueueSize]);
}

/** Bytes of host memory in which a network device is kept. */
export const protectionBytes = (model: NetModelConfig): number => keepLayoutOf(0, model).bytes;

/** The configurations of the thread that begins, and of the one that goes on. @throws VirtioError for what cannot be */
export function checkedConfigs(config: ProtectedConfig): ProtectedConfigs {
  const { keep, standby = config.model, ...rest } = config;
  const complete = (model: NetModelConfig): CompleteThreadConfig =>
    parseAs(ThreadConfigSchema, { ...rest, model, transport: 'pci' }, HERE);
  if (config.model?.type !== 'net') throw new VirtioError('model.type', String(config.model?.type), 'net', HERE);
  for (const [name, model] of Object.entries({ model: config.model, standby }))
    if (Array.isArray(model.backend))
      throw new VirtioError(`${name}.backend`, model.backend.length, 'one: no queue threads', HERE);
  const configs = { primary: complete(config.model), standby: complete(standby) };
  for (const field of SAME) {
    const [one, other] = [JSON.stringify(config.model[field]), JSON.stringify(standby[field])];
    if (one !== other) throw new VirtioError(`standby.${field}`, String(other), `${String(one)}, the model's`, HERE);
  }
  const { bytes } = keepLayoutOf(keep, config.model);
  const size = configs.primary.memory.buffer.byteLength;
  if (!(Number.isInteger(keep) && keep >= 0 && keep % ALIGN === 0 && keep + bytes <= size))
    throw new VirtioError('keep', keep, `a multiple of ${ALIGN} with ${bytes} bytes of the memory behind it`, HERE);
  return configs;
}
