import { newMemoryFile } from '@ringwire/linux';
import type { PeerMemory } from '@ringwire/peer-memory';
import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { regionBytes, SPLIT_REGION } from './inflight-layout.js';
import { INFLIGHT } from './messages.js';
import type { Outcome } from './outcome.js';
import type { VhostPort } from './vhost-port.js';

/** What a front-end asks about the area that tells which chains are in flight. */
export class InflightRequests {
  private readonly port: VhostPort;
  private readonly memory: PeerMemory;

  constructor(port: VhostPort, memory: PeerMemory) {
    this.port = port;
    this.memory = memory;
  }

  /** A new area, which the front-end keeps: it is used once it was set. */
  get(payload: DataView): Outcome {
    const shape = this.shapeOf(payload);
    if (typeof shape === 'string') return shape;
    const answer = new Uint8Array(payload.buffer.slice(0));
    const view = new DataView(answer.buffer);
    view.setBigUint64(INFLIGHT.mmapSize, BigInt(shape.bytes), true);
    view.setBigUint64(INFLIGHT.mmapOffset, 0n, true);
    return { payload: answer, fd: newMemoryFile('ringwire-inflight', shape.bytes) };
  }

  /** Refused, it leaves the area before as it was. */
  set(payload: DataView, fds: number[]): Outcome {
    const shape = this.shapeOf(payload);
    if (typeof shape === 'string') return shape;
    if (this.port.vrings.some(({ started }) => started)) return 'the in-flight area changed while a ring runs';
    if (fds.length !== 1) return 'an in-flight area without a descriptor';
    const size = payload.getBigUint64(INFLIGHT.mmapSize, true);
    const offset = payload.getBigUint64(INFLIGHT.mmapOffset, true);
    if (size < BigInt(shape.bytes)) return `an in-flight area of ${size} bytes, want ${shape.bytes}`;
    if (offset % 8n !== 0n || offset + size > 2n ** 53n)
      return `an in-flight area of ${size} bytes from ${offset} on, want a multiple of 8`;
    const mapping = this.memory.map(fds[0]!, Number(offset), shape.bytes);
    if (typeof mapping === 'string') return mapping;
    this.clear();
    this.port.inflight = { mapping, ...shape };
    return undefined;
  }

  /** The device was reset: nothing is in flight, and rings begin where the front-end says. */
  forget(): void {
    const { inflight } = this.port;
    if (inflight === undefined) return;
    for (let index = 0; index < inflight.queues; index++) {
      const at = inflight.mapping.host + index * (inflight.bytes / inflight.queues);
      this.memory.memory.u16[(at + SPLIT_REGION.version) >>> 1] = 0;
    }
  }

  /** Whether the file of the area was cut short. */
  wasCut(): boolean {
    const { inflight } = this.port;
    return inflight !== undefined && this.memory.wasCut(inflight.mapping);
  }

  /** Let go of the area; what is in it stays, for whoever comes after. No ring runs. */
  clear(): void {
    if (this.port.inflight !== undefined) this.memory.unmap(this.port.inflight.mapping);
    this.port.inflight = undefined;
  }

  private shapeOf(
    payload: DataView,
  ): { readonly queues: number; readonly size: number; readonly bytes: number } | string {
    const { vrings, features } = this.port;
    const queues = payload.getUint16(INFLIGHT.numQueues, true);
    const size = payload.getUint16(INFLIGHT.queueSize, true);
    const most = Math.max(...vrings.map(({ sizeMax }) => sizeMax));
    if (queues < 1 || queues > vrings.length) return `${queues} in-flight regions, want 1 to ${vrings.length}`;
    if (size < 1 || size > most) return `in-flight regions for ${size} descriptors, want 1 to ${most}`;
    return { queues, size, bytes: queues * regionBytes(size, hasFeature(features, VIRTIO_F.RING_PACKED)) };
  }
}
