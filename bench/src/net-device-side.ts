import type { HostMemory } from '@ringwire/guest-memory';
import { FrameQueue, LoopbackBackend } from '@ringwire/net-backend';
import { NetDevice, RX_STAT, TX_STAT, type VirtioPciConfig } from '@ringwire/virtio-device';
import { Arrivals } from './arrivals.js';
import type { CasePlan } from './case-plan.js';
import { CheckingBackend } from './checking-backend.js';
import { deviceSpace } from './device-dma.js';
import { NET_CABLE, NET_SCRATCH } from './guest-layout.js';
import { NET_QUEUE_SIZE, netFrames, STATION } from './net-layout.js';
import type { DeviceReport } from './worker-job.js';

const CABLE_FRAMES = 256;
const [RECEIVE, TRANSMIT] = [0, 1];

/** The device of a network case, and what is at the other end of its cable. */
export class NetDeviceSide {
  readonly config: Omit<VirtioPciConfig, 'host'>;
  private readonly model: NetDevice;
  private readonly arrivals: Arrivals;
  private readonly comesBack: boolean;

  /** @param control words by which the driver says what a round is */
  constructor(plan: CasePlan, memory: HostMemory, control: Int32Array) {
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
    this.config = { model: this.model, space: deviceSpace(plan, memory), translated: plan.behindIommu };
  }

  report(): DeviceReport {
    const { check, count, summed } = this.arrivals;
    const { lost, misplaced, damaged, first } = check;
    const rx = this.model.statistics(RECEIVE)!;
    const tx = this.model.statistics(TRANSMIT)!;
    return {
      faults: { lost, misplaced, damaged, first },
      frames: this.comesBack ? tx.get(TX_STAT.tx_packets) : count,
      summed,
      notifications: rx.get(RX_STAT.rx_interrupts) + tx.get(TX_STAT.tx_interrupts),
      missed: 0,
      kicks: rx.get(RX_STAT.rx_notifications) + tx.get(TX_STAT.tx_notifications),
    };
  }
}
