import { gather, type HostMemory, scatter } from '@ringwire/guest-memory';
import { hasFeature } from '@ringwire/virtio-spec';
import {
  VIRTIO_IOMMU_ATTACH_F,
  VIRTIO_IOMMU_F,
  VIRTIO_IOMMU_MAP_F,
  VIRTIO_IOMMU_REQ_ATTACH,
  VIRTIO_IOMMU_REQ_DETACH,
  VIRTIO_IOMMU_REQ_HEAD,
  VIRTIO_IOMMU_REQ_MAP,
  VIRTIO_IOMMU_REQ_PROBE,
  VIRTIO_IOMMU_REQ_TAIL,
  VIRTIO_IOMMU_REQ_UNMAP,
  VIRTIO_IOMMU_S,
  VIRTIO_IOMMU_T,
} from '@ringwire/virtio-spec/iommu';
import { ChainBurst, type DeviceQueue } from '@ringwire/virtqueue';
import type { VirtioIommuCounters } from './virtio-iommu-counters.js';
import type { DomainTable } from './virtio-iommu-domains.js';
import type { VirtioIommuSetup } from './virtio-iommu-options.js';
import { writeProperties } from './virtio-iommu-regions.js';

const S = VIRTIO_IOMMU_S;
const T = VIRTIO_IOMMU_T;
const TAIL_BYTES = VIRTIO_IOMMU_REQ_TAIL.SIZE;
/** Requests handled before their buffers are given back together. */
const BURST = 32;

/** Device-readable bytes per type; 0 for a type that there isn't. */
const REQUEST_BYTES = new Uint8Array(256);
REQUEST_BYTES[T.ATTACH] = VIRTIO_IOMMU_REQ_ATTACH.SIZE;
REQUEST_BYTES[T.DETACH] = VIRTIO_IOMMU_REQ_DETACH.SIZE;
REQUEST_BYTES[T.MAP] = VIRTIO_IOMMU_REQ_MAP.SIZE;
REQUEST_BYTES[T.UNMAP] = VIRTIO_IOMMU_REQ_UNMAP.SIZE;
REQUEST_BYTES[T.PROBE] = VIRTIO_IOMMU_REQ_PROBE.SIZE;

/**
 * The request queue. How a request is cut into descriptors does not matter: the device-readable bytes are put together
 * and copied once, and the tail follows the properties of a PROBE request, or begins the device-writable bytes of any
 * other one. @see virtio 1.4 §5.13.6
 */
export class RequestServer {
  private readonly burst = new ChainBurst(BURST);
  private readonly request = new Uint8Array(VIRTIO_IOMMU_REQ_PROBE.SIZE);
  private readonly view = new DataView(this.request.buffer);
  /** Properties and tail. */
  private readonly reply: Uint8Array;
  private readonly memory: HostMemory;
  private readonly queue: DeviceQueue;
  private readonly domains: DomainTable;
  private readonly counters: VirtioIommuCounters;
  private readonly probeSize: number;
  private readonly mapUnmap: boolean;
  private readonly attachFlags: number;
  private readonly mapFlags: number;

  /** @param negotiated features; PROBE counts as soon as it is offered */
  constructor(
    memory: HostMemory,
    queue: DeviceQueue,
    domains: DomainTable,
    setup: VirtioIommuSetup,
    negotiated: Uint32Array,
    counters: VirtioIommuCounters,
  ) {
    this.memory = memory;
    this.queue = queue;
    this.domains = domains;
    this.counters = counters;
    this.probeSize = setup.probeSize;
    this.reply = new Uint8Array(setup.probeSize + TAIL_BYTES);
    this.mapUnmap = hasFeature(negotiated, VIRTIO_IOMMU_F.MAP_UNMAP);
    this.attachFlags = hasFeature(negotiated, VIRTIO_IOMMU_F.BYPASS_CONFIG) ? VIRTIO_IOMMU_ATTACH_F.BYPASS : 0;
    const { READ, WRITE, MMIO } = VIRTIO_IOMMU_MAP_F;
    this.mapFlags = READ | WRITE | (hasFeature(negotiated, VIRTIO_IOMMU_F.MMIO) ? MMIO : 0);
  }

  /**
   * Handle requests that are available, at most `max`, and put their buffers; the caller publishes them.
   * @returns requests handled
   */
  serve(max: number): number {
    const { burst, queue } = this;
    let handled = 0;
    while (handled < max) {
      burst.clear();
      const taken = queue.takeBurst(burst, Math.min(max - handled, BURST));
      if (taken === 0) break;
      for (let i = 0; i < taken; i++) burst.written[i] = this.handle(i);
      queue.putUsedBurst(burst, 0, taken);
      handled += taken;
    }
    return handled;
  }

  /** @returns bytes written, 0 for a request that cannot be answered and was not carried out */
  private handle(i: number): number {
    const { burst, memory, request, counters, probeSize } = this;
    if (burst.fault[i] !== 0) {
      counters.faultyRequestChains++;
      return 0;
    }
    const first = burst.first[i]!;
    const writable = burst.firstWritable[i]!;
    const readable = gather(memory, burst.segments, first, writable - first, request);
    const type = readable > 0 ? request[VIRTIO_IOMMU_REQ_HEAD.type]! : 0;
    const bytes = REQUEST_BYTES[type]!;
    if (bytes === 0 || (type === T.PROBE && probeSize === 0)) {
      counters.unknownRequests++;
      return 0;
    }
    const room = burst.writableBytes(i);
    if (room < TAIL_BYTES) {
      counters.requestsWithoutTail++;
      return 0;
    }
    // Too few properties: those bytes become an empty list, and the tail is where this driver looks for it.
    const properties = type === T.PROBE ? Math.min(probeSize, room - TAIL_BYTES) : 0;
    const complete = readable >= bytes && (type !== T.PROBE || properties === probeSize);
    const reply = this.reply.subarray(0, properties + TAIL_BYTES).fill(0);
    const status = complete ? this.carryOut(type) : S.INVAL;
    reply[properties + VIRTIO_IOMMU_REQ_TAIL.status] = status;
    counters.answered[status]!++;
    return scatter(memory, burst.segments, writable, burst.end(i) - writable, reply);
  }

  private carryOut(type: number): number {
    switch (type) {
      case T.ATTACH:
        return this.attach();
      case T.DETACH:
        return this.domains.detach(
          this.u32(VIRTIO_IOMMU_REQ_DETACH.domain),
          this.u32(VIRTIO_IOMMU_REQ_DETACH.endpoint),
        );
      case T.MAP:
        return this.mapUnmap ? this.map() : S.UNSUPP;
      case T.UNMAP:
        return this.mapUnmap ? this.unmap() : S.UNSUPP;
      default:
        return this.probe();
    }
  }

  private attach(): number {
    const at = VIRTIO_IOMMU_REQ_ATTACH;
    if (this.u32(at.reserved) !== 0) return S.INVAL;
    return this.domains.attach(this.u32(at.domain), this.u32(at.endpoint), this.u32(at.flags), this.attachFlags);
  }

  private map(): number {
    const at = VIRTIO_IOMMU_REQ_MAP;
    return this.domains.map(
      this.u32(at.domain),
      this.u64(at.virt_start),
      this.u64(at.virt_end),
      this.u64(at.phys_start),
      this.u32(at.flags),
      this.mapFlags,
    );
  }

  private unmap(): number {
    const at = VIRTIO_IOMMU_REQ_UNMAP;
    if (this.u32(at.reserved) !== 0) return S.INVAL;
    return this.domains.unmap(this.u32(at.domain), this.u64(at.virt_start), this.u64(at.virt_end));
  }

  private probe(): number {
    const endpoint = this.domains.endpoints.get(this.u32(VIRTIO_IOMMU_REQ_PROBE.endpoint));
    if (endpoint === undefined) return S.NOENT;
    writeProperties(endpoint.regions, new DataView(this.reply.buffer));
    return S.OK;
  }

  private u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  /** Exact below 2^53. Above, rounding keeps it above, where nothing can be mapped. */
  private u64(at: number): number {
    return this.view.getUint32(at + 4, true) * 0x1_0000_0000 + this.view.getUint32(at, true);
  }
}
