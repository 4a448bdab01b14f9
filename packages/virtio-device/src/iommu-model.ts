import type { VirtioIommu } from '@ringwire/iommu';
import { VIRTIO_ID } from '@ringwire/virtio-spec';
import { VIRTIO_IOMMU_CONFIG_SIZE, VIRTIO_IOMMU_VQ } from '@ringwire/virtio-spec/iommu';
import type { DeviceModel, DevicePort } from './device-model.js';

/**
 * A virtio-iommu as a device type: the way from a transport to a {@link VirtioIommu}, whose endpoints' accesses may fault
 * at any time. @see virtio 1.4 §5.13
 */
export class IommuModel implements DeviceModel {
  readonly deviceId: number = VIRTIO_ID.IOMMU;
  readonly features: Uint32Array;
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array = new Uint8Array(VIRTIO_IOMMU_CONFIG_SIZE);
  private readonly iommu: VirtioIommu;
  private port: DevicePort | undefined;
  private waiting = false;

  /** @param queueSize of the request queue and of the event queue */
  constructor(iommu: VirtioIommu, queueSize = 256) {
    this.iommu = iommu;
    this.features = iommu.features;
    this.queueSizes = [queueSize, queueSize];
    this.readConfig();
  }

  featureProblem(): undefined {}

  writeConfig(at: number, bytes: number, value: number): void {
    const written = Uint8Array.from({ length: bytes }, (_, byte) => value >>> (byte * 8));
    this.iommu.writeConfig(at, written);
    this.readConfig();
  }

  start(port: DevicePort): void {
    this.port = port;
    this.bind(port);
  }

  queueChanged(): void {
    if (this.port !== undefined) this.bind(this.port);
  }

  notified(index: number): void {
    if (index === VIRTIO_IOMMU_VQ.request) this.waiting = true;
  }

  step(budget: number): number {
    if (!this.waiting) return 0;
    const handled = this.iommu.serveRequests(budget);
    // None left: ask for a notification, and look once more before relying on it.
    if (handled === 0) this.waiting = this.port?.queue(VIRTIO_IOMMU_VQ.request)?.enableNotifications() === true;
    return handled;
  }

  deadline(): number {
    return Number.POSITIVE_INFINITY;
  }

  stop(): void {
    this.port = undefined;
    this.waiting = false;
    this.iommu.stop();
  }

  reset(): void {
    this.iommu.reset();
  }

  /** Reset of the whole machine: bypass has its initial value again. The device itself is reset by its transport. */
  systemReset(): void {
    this.iommu.systemReset();
    this.readConfig();
  }

  private bind(port: DevicePort): void {
    const { memory, features } = port;
    this.iommu.start(features, {
      memory,
      request: port.queue(VIRTIO_IOMMU_VQ.request),
      event: port.queue(VIRTIO_IOMMU_VQ.event),
      notify: (queue) => port.notifyUsed(queue),
      enter: () => port.enter(),
      leave: () => port.leave(),
    });
  }

  private readConfig(): void {
    this.iommu.readConfig(0, this.config);
  }
}
