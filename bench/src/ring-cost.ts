import type { HostMemory } from '@ringwire/guest-memory';
import { openLoopedDeviceQueue, openLoopedDriverQueue, privateArrays } from '@ringwire/ring-loops';
import { BufferList, ChainBurst, type DeviceQueue, type DriverQueue, isRefusal, UsedBurst } from '@ringwire/virtqueue';
import type { CasePlan } from './case-plan.js';
import { bufferGpa, guestOf, queueConfig } from './guest-layout.js';

const BUFFER_BYTES = 64;

/** Both sides of a ring in one thread, with buffers that nobody looks into: what the ring alone costs. */
export class RingCost {
  private readonly driver: DriverQueue;
  private readonly device: DeviceQueue;
  private readonly batch: number;
  private readonly list: BufferList;
  private readonly burst: ChainBurst;
  private readonly used: UsedBurst;

  constructor(plan: CasePlan, memory: HostMemory) {
    const config = queueConfig(plan, guestOf(memory));
    const arrays = privateArrays(memory);
    this.driver = openLoopedDriverQueue(config);
    const device = openLoopedDeviceQueue(config);
    if (isRefusal(device)) throw new Error(device.message);
    this.device = device;
    this.driver.disableNotifications();
    this.device.disableNotifications();
    this.batch = plan.batch;
    this.list = new BufferList(plan.batch, arrays);
    for (let i = 0; i < plan.batch; i++) this.list.addReadable(bufferGpa(i), BUFFER_BYTES);
    this.burst = new ChainBurst(plan.batch, arrays);
    this.used = new UsedBurst(plan.batch, arrays);
  }

  /** Add, publish, take, put, publish and reclaim until as many buffers went round, the last burst whole. */
  circulate(buffers: number): void {
    const { driver, device, batch, list, burst, used } = this;
    for (let back = 0; back < buffers; ) {
      driver.addBurst(list);
      driver.publish();
      burst.clear();
      const taken = device.takeBurst(burst, batch);
      device.putUsedBurst(burst, 0, taken);
      device.publishUsed();
      used.clear();
      const reclaimed = driver.takeUsed(used, batch);
      if (reclaimed !== batch) throw new Error(`${reclaimed} of ${batch} buffers came back`);
      back += reclaimed;
    }
  }
}
