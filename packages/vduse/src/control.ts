import { VirtioError } from '@ringwire/virtio-spec';
import type { VduseKernel } from './kernel.js';
import { CONTROL_IOCTL, DEV_CONFIG, NAME_BYTES } from './layouts.js';
import { VduseError } from './vduse-error.js';

/** Where devices are. */
export const FOLDER = '/dev/vduse';
/** Of everything here: queues are in one group, and addresses in one space. */
const API_VERSION = 0n;
const QUEUES_MAX = 0xffff;
const CONFIG_BYTES_MAX = 4096;
/** A name is a file's too. */
const NAME = /^[\w.:-]+$/;
/** Of a ring's parts, in one piece as Linux lays them out: a page, so that each is whole pages for mmap. */
const RING_ALIGN = 4096;

/** What the kernel is told of a device when it is made. */
export interface NodeConfig {
  readonly name: string;
  /** A `VIRTIO_ID`. */
  readonly deviceId: number;
  readonly vendorId: number;
  /** Bit n is feature n. */
  readonly features: bigint;
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array;
}

/** What an ioctl is about. */
export function argument(length: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(length);
  return { bytes, view: new DataView(bytes.buffer) };
}

function checkConfig({ name, queueSizes, config }: NodeConfig): void {
  const isName = NAME.test(name) && name.length < NAME_BYTES && !/^(control|\.+)$/.test(name);
  if (!isName)
    throw new VirtioError(
      'name',
      name,
      `1 to ${NAME_BYTES - 1} letters, digits, or of "_.:-", and not "control"`,
      'VDUSE',
    );
  if (queueSizes.length > QUEUES_MAX)
    throw new VirtioError('queueSizes.length', queueSizes.length, `at most ${QUEUES_MAX}`, 'VDUSE');
  if (config.length > CONFIG_BYTES_MAX)
    throw new VirtioError('config.length', config.length, `at most ${CONFIG_BYTES_MAX}`, 'VDUSE');
}

/** @throws VduseError with what to do, VirtioError for a device that the kernel can have none of */
export function openControl(kernel: VduseKernel, config: NodeConfig): number {
  checkConfig(config);
  const path = `${FOLDER}/control`;
  const fd = kernel.open(path);
  if (typeof fd === 'number') {
    const { bytes, view } = argument(8);
    view.setBigUint64(0, API_VERSION, true);
    const result = kernel.ioctl(fd, CONTROL_IOCTL.SET_API_VERSION, bytes);
    if (typeof result === 'number') return fd;
    kernel.close(fd);
    throw new VduseError(`this kernel's VDUSE is another one: SET_API_VERSION ${API_VERSION} gives ${result}`, result);
  }
  if (fd === 'ENOENT')
    throw new VduseError(`there is no ${path}: want Linux 5.15 or newer with the module vduse ("modprobe vduse")`, fd);
  const isRight = fd === 'EACCES' || fd === 'EPERM';
  throw new VduseError(`${path} cannot be opened: ${fd}${isRight ? ': want root' : ''}`, fd);
}

/** @returns whether it is one that was left behind and cannot be made anew */
export function createNode(kernel: VduseKernel, control: number, config: NodeConfig): boolean {
  const { name } = config;
  const make = (): number | string => kernel.ioctl(control, CONTROL_IOCTL.CREATE_DEV, createArgument(config));
  let result = make();
  if (result === 'EEXIST') {
    // Nobody's, and on no bus: it is made anew.
    if (destroyNode(kernel, control, name) !== undefined) return true;
    result = make();
  }
  if (typeof result === 'number') return false;
  const why = result === 'EPERM' ? `${result}: a network device wants CAP_NET_ADMIN` : result;
  throw new VduseError(`the kernel makes no VDUSE device ${name}: ${why}`, result);
}

function createArgument({ name, deviceId, vendorId, features, queueSizes, config }: NodeConfig): Uint8Array {
  const { bytes, view } = argument(DEV_CONFIG.SIZE + config.length);
  bytes.set(new TextEncoder().encode(name), DEV_CONFIG.name);
  view.setUint32(DEV_CONFIG.vendor_id, vendorId, true);
  view.setUint32(DEV_CONFIG.device_id, deviceId, true);
  view.setBigUint64(DEV_CONFIG.features, features, true);
  view.setUint32(DEV_CONFIG.vq_num, queueSizes.length, true);
  view.setUint32(DEV_CONFIG.vq_align, RING_ALIGN, true);
  view.setUint32(DEV_CONFIG.config_size, config.length, true);
  bytes.set(config, DEV_CONFIG.SIZE);
  return bytes;
}

/** @returns why the device stays: EBUSY while it is on the vDPA bus, or served */
export function destroyNode(kernel: VduseKernel, control: number, name: string): string | undefined {
  const { bytes } = argument(NAME_BYTES);
  bytes.set(new TextEncoder().encode(name));
  const result = kernel.ioctl(control, CONTROL_IOCTL.DESTROY_DEV, bytes);
  return typeof result === 'string' ? result : undefined;
}
