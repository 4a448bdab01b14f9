import type { HostMemory } from '@ringwire/guest-memory';
import { FrameQueue, LoopbackBackend } from '@ringwire/net-backend';
import { NetDevice, TX_STAT, VirtioPci, type VirtioPciConfig } from '@ringwire/virtio-device';
import { Arrivals } from './arrivals.js';
import type { CasePlan } from './case-plan.js';
import { CheckingBackend } from './checking-backend.js';
import { deviceSpace } from './device-dma.js';
import { NET_CABLE, NET_SCRATCH } from './guest-layout.js';
import { NET_QUEUE_SIZE, netFrames, STATION } from './net-layout.js';
import type { DeviceReport } from './worker-job.js';

const CABLE_FRAMES = 256;
const TRANSMIT = 1;

/** The device of a network case, a PCI function, and what is at the other end of its cable. */
export class NetDeviceSide {
  readonly virtio: VirtioPci;
  private readonly model: NetDevice;
  private readonly arrivals: Arrivals;
  private readonly comesBack: boolean;

  /** @param control words by which the driver says what a round is */
  constructor(plan: CasePlan, memory: HostMemory, host: VirtioPciConfig['host'], control: Int32Array) {
    this.arrivals = new Arrivals(memory, netFrames(plan));
    this.comesBack = plan.net?.task === 'loop' || plan.net?.task === 'ping';
    const cable = new FrameQueue(memory, NET_CABLE.start, NET_CABLE.bytes, CABLE_FRAMES);
    this.model = new NetDevice({
      memory,
      scratch: NET_SCRATCH,
      backend: this.comesBack ? new LoopbackBackend(cable) : new CheckingBackend(memory, this.arrivals, control),
      mac: STATION,
      rxQueueSize: NET_QUEUE_SIZE,
      txQueueSize: NET_QUEUE_SIZE,
      holdWhenFull: true,
    });
    const space = deviceSpace(plan, memory);
    this.virtio = new VirtioPci({ model: this.model, space, translated: plan.behindIommu, host });
  }

  report(): DeviceReport {
    const { check, count, summed } = this.arrivals;
    const { lost, misplaced, damaged, first } = check;
    const { kicks, usedNotifications } = this.virtio.device.counters;
    return {
      faults: { lost, misplaced, damaged, first },
      frames: this.comesBack ? this.model.statistics(TRANSMIT)!.get(TX_STAT.tx_packets) : count,
      summed,
      notifications: usedNotifications,
      missed: 0,
      kicks,
    };
  }
}
