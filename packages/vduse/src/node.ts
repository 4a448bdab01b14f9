import { argument, createNode, destroyNode, FOLDER, type NodeConfig, openControl } from './control.js';
import type { VduseKernel } from './kernel.js';
import { CONFIG_DATA, DEVICE_IOCTL, IOTLB_ENTRY, REQUEST, VQ_CONFIG, VQ_EVENTFD, VQ_INFO } from './layouts.js';
import { VduseError } from './vduse-error.js';

/** A part of the driver's memory, as the kernel has it. */
export interface Region {
  readonly fd: number;
  /** In the descriptor's file. */
  readonly offset: bigint;
  readonly first: bigint;
  readonly last: bigint;
  /** `ACCESS` bits. */
  readonly access: number;
}

/** A device in the kernel, `/dev/vduse/NAME`: typed calls, each of which says an errno's name where it fails. */
export class VduseNode {
  readonly name: string;
  readonly fd: number;
  /** It was there, on the vDPA bus, when it was opened: a driver may run. */
  readonly isTakenUp: boolean;
  private readonly kernel: VduseKernel;
  private readonly control: number;
  private readonly queue: ReturnType<typeof argument> = argument(4);

  /**
   * Make a device, or take up one of that name that nobody serves any more.
   * @throws VduseError with what to do, VirtioError for a device that the kernel can have none of
   */
  static open(kernel: VduseKernel, config: NodeConfig): VduseNode {
    const control = openControl(kernel, config);
    try {
      const isTakenUp = createNode(kernel, control, config);
      return new VduseNode(kernel, control, config, isTakenUp);
    } catch (error) {
      kernel.close(control);
      throw error;
    }
  }

  private constructor(kernel: VduseKernel, control: number, config: NodeConfig, isTakenUp: boolean) {
    const { name } = config;
    this.kernel = kernel;
    this.control = control;
    this.name = name;
    this.isTakenUp = isTakenUp;
    const fd = kernel.open(`${FOLDER}/${name}`);
    if (fd === 'EBUSY') throw new VduseError(`another process serves the VDUSE device ${name}`, fd);
    if (typeof fd === 'string') {
      if (!isTakenUp) destroyNode(kernel, control, name);
      throw new VduseError(`${FOLDER}/${name} cannot be opened: ${fd}`, fd);
    }
    this.fd = fd;
    const problem = isTakenUp ? this.differenceTo(config) : this.setUpQueues(config.queueSizes);
    if (problem === undefined) return;
    kernel.close(fd);
    if (!isTakenUp) destroyNode(kernel, control, name);
    throw problem;
  }

  /** @returns a whole request or, from a kernel that does not keep to it, a part; undefined when there is none */
  read(): Uint8Array | undefined {
    const bytes = new Uint8Array(REQUEST.SIZE);
    const got = this.kernel.read(this.fd, bytes);
    return got < 0 ? undefined : bytes.subarray(0, got);
  }

  /** @returns whether the kernel still wanted the answer */
  write(bytes: Uint8Array): boolean {
    return this.kernel.write(this.fd, bytes) === bytes.length;
  }

  /** Features that the driver accepted, or why they cannot be had: EPERM once the kernel gave the device up. */
  features(): bigint | string {
    const { bytes, view } = argument(8);
    const result = this.call(DEVICE_IOCTL.DEV_GET_FEATURES, bytes);
    return typeof result === 'string' ? result : view.getBigUint64(0, true);
  }

  /** What the driver set up of a queue: `VQ_INFO`. */
  queueInfo(index: number): DataView | string {
    const { bytes, view } = argument(VQ_INFO.SIZE);
    view.setUint32(VQ_INFO.index, index, true);
    const result = this.call(DEVICE_IOCTL.VQ_GET_INFO, bytes);
    return typeof result === 'string' ? result : view;
  }

  /** Have the driver's notifications of a queue at an event. @param event -1 for none */
  setKick(index: number, event: number): string | undefined {
    const { bytes, view } = argument(VQ_EVENTFD.SIZE);
    view.setUint32(VQ_EVENTFD.index, index, true);
    view.setInt32(VQ_EVENTFD.fd, event, true);
    return this.said(DEVICE_IOCTL.VQ_SETUP_KICKFD, bytes);
  }

  /** Interrupt the driver for a queue. EINVAL as long as it does not run. */
  interrupt(index: number): string | undefined {
    const { bytes, view } = this.queue;
    view.setUint32(0, index, true);
    return this.said(DEVICE_IOCTL.VQ_INJECT_IRQ, bytes);
  }

  /** Interrupt the driver for its configuration. EINVAL as long as it does not run. */
  interruptConfig(): string | undefined {
    return this.said(DEVICE_IOCTL.DEV_INJECT_CONFIG_IRQ, new Uint8Array(0));
  }

  /** What the driver reads from now on. @param config the whole configuration */
  setConfig(config: Uint8Array): string | undefined {
    const { bytes, view } = argument(CONFIG_DATA.SIZE + config.length);
    view.setUint32(CONFIG_DATA.length, config.length, true);
    bytes.set(config, CONFIG_DATA.SIZE);
    return config.length === 0 ? undefined : this.said(DEVICE_IOCTL.DEV_SET_CONFIG, bytes);
  }

  /** The first region with an address from `first` to `last`, its descriptor the caller's to close; EINVAL for none. */
  region(first: bigint, last: bigint): Region | string {
    const { bytes, view } = argument(IOTLB_ENTRY.SIZE);
    view.setBigUint64(IOTLB_ENTRY.start, first, true);
    view.setBigUint64(IOTLB_ENTRY.last, last, true);
    const fd = this.call(DEVICE_IOCTL.IOTLB_GET_FD, bytes);
    if (typeof fd === 'string') return fd;
    return {
      fd,
      offset: view.getBigUint64(IOTLB_ENTRY.offset, true),
      first: view.getBigUint64(IOTLB_ENTRY.start, true),
      last: view.getBigUint64(IOTLB_ENTRY.last, true),
      access: view.getUint8(IOTLB_ENTRY.perm),
    };
  }

  /** Let go of the device. @returns whether it is gone: it stays as long as it is on the vDPA bus */
  close(): boolean {
    this.kernel.close(this.fd);
    const isGone = destroyNode(this.kernel, this.control, this.name) === undefined;
    this.kernel.close(this.control);
    return isGone;
  }

  closeFile(fd: number): void {
    this.kernel.close(fd);
  }

  private call(request: number, bytes: Uint8Array): number | string {
    return this.kernel.ioctl(this.fd, request, bytes);
  }

  private said(request: number, bytes: Uint8Array): string | undefined {
    const result = this.call(request, bytes);
    return typeof result === 'string' ? result : undefined;
  }

  private setUpQueues(sizes: readonly number[]): VduseError | undefined {
    for (const [index, size] of sizes.entries()) {
      const { bytes, view } = argument(VQ_CONFIG.SIZE);
      view.setUint32(VQ_CONFIG.index, index, true);
      view.setUint16(VQ_CONFIG.max_size, size, true);
      const problem = this.said(DEVICE_IOCTL.VQ_SETUP, bytes);
      if (problem !== undefined) return new VduseError(`queue ${index} of ${this.name}: ${problem}`, problem);
    }
    return undefined;
  }

  /** Whether a device that is there is the same as the one that is to be served, as far as the kernel tells. */
  private differenceTo({ queueSizes, config, features }: NodeConfig): VduseError | undefined {
    const { name } = this;
    const refused = (why: string, code = ''): VduseError =>
      new VduseError(
        `the VDUSE device ${name} was left behind and ${why}: "vdpa dev del ${name}", and start again`,
        code,
      );
    const accepted = this.features();
    if (typeof accepted === 'string') return refused('the kernel has given it up', accepted);
    if ((accepted & ~features) !== 0n) return refused('its driver has features that are not offered any more');
    const count = queueSizes.length;
    if (typeof this.queueInfo(count) !== 'string' || (count > 0 && typeof this.queueInfo(count - 1) === 'string'))
      return refused('has another number of queues');
    const problem = this.setConfig(config);
    return problem === undefined ? undefined : refused('has another configuration', problem);
  }
}
