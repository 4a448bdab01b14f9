import type { GuestRegion, WasmMemory } from '@ringwire/guest-memory';
import type { SavedDevice } from '@ringwire/virtio-device';
import type { ThreadOwners } from './thread-owners.js';

/**
 * Where the frames of a network device go: nowhere, back, with copies waiting in `bytes` of host memory from `at` on, or
 * through a cable to the device of another thread, which is given the same with the other `end`.
 */
export type BackendConfig =
  | { readonly type: 'null' }
  | {
      readonly type: 'loopback';
      readonly at: number;
      readonly bytes: number;
      /** Most frames that wait; 1024 unless given. */
      readonly frames?: number;
    }
  | {
      readonly type: 'cable';
      /** A multiple of 64; zeros before the first thread uses it. */
      readonly at: number;
      readonly bytes: number;
      readonly end: 0 | 1;
      /** Most frames that wait in each direction, a power of two; 512 unless given. */
      readonly frames?: number;
    };

/** A network device: the options of `NetDevice` that can be posted, with its backend. */
export interface NetModelConfig {
  readonly type: 'net';
  /**
   * One for all pairs; or one for each of 2 to 64 queue threads, which serve the pairs besides the thread with the registers
   * and the control queue: pair p is served by thread p modulo their number.
   */
  readonly backend: BackendConfig | readonly BackendConfig[];
  /**
   * Host memory of the device's own: `threadScratchBytes` from here on. With queue threads a multiple of 64, and zeros
   * at first.
   */
  readonly scratch: number;
  /** 6 bytes. */
  readonly mac: readonly number[];
  readonly pairs?: number;
  readonly mtu?: number;
  readonly rxQueueSize?: number;
  readonly txQueueSize?: number;
  readonly controlQueueSize?: number;
  readonly features?: readonly number[];
  readonly without?: readonly number[];
  readonly holdWhenFull?: boolean;
  readonly pollTurns?: number;
  readonly validateChecksums?: boolean;
}

/** Which device type runs in the thread. */
export type ModelConfig =
  | { readonly type: 'entropy'; readonly queueSize?: number }
  | NetModelConfig
  /** A JavaScript module that the worker imports; it exports `createModel`, a {@link CreateModel}. */
  | { readonly type: 'module'; readonly url: string; readonly options?: unknown };

/** What the device reaches: host memory as it is, a guest's RAM, or what an Intel VT-d unit's tables map for it. */
export type SpaceConfig =
  | { readonly type: 'identity' }
  | { readonly type: 'regions'; readonly regions: readonly GuestRegion[] }
  | {
      readonly type: 'vtd';
      /** As software writes it into the Root Table Address Register. */
      readonly rootTable: number;
      /** Requester id, 16 bits. */
      readonly sourceId: number;
      /** 20 bits. */
      readonly pasid?: number;
      /** `BUS_WORDS` words, shared, of the invalidation bus that whoever unmaps publishes on. */
      readonly bus: Int32Array;
      /** Translations that the thread caches, a power of two; 2048 unless given. */
      readonly cached?: number;
    };

/** What is to run in a thread, and how. */
export interface ThreadConfig {
  readonly transport: 'mmio' | 'pci';
  readonly model: ModelConfig;
  /** The machine's memory: `HostMemory.wasm`. */
  readonly memory: WasmMemory;
  /** Identity unless given. */
  readonly space?: SpaceConfig;
  /** Feature words 0–3 that may be offered; all unless given. */
  readonly offer?: Uint32Array;
  /** PCI alone: most MSI-X vectors, up to 2048; one per queue and one more at most. 64 unless given. */
  readonly vectors?: number;
  /** PCI alone: administration virtqueues of the device, for its self group; none unless given. Not with queue threads. */
  readonly admin?: { readonly queues?: number; readonly queueSize?: number };
  /** Queues with a doorbell word, up to 65536; notifications of queues beyond are register accesses. 64 unless given. */
  readonly doorbells?: number;
  /** Most chains per queue and turn; 64 unless given. */
  readonly budget?: number;
  /** Turns without work, of some hundred nanoseconds each, before the thread sleeps; 1000 unless given. */
  readonly spinTurns?: number;
}

/** The same without gaps. */
export type CompleteThreadConfig = Required<Omit<ThreadConfig, 'offer' | 'admin'>> &
  Pick<ThreadConfig, 'offer' | 'admin'>;

/** What the worker is told, once. */
export interface ThreadOrder {
  readonly type: 'run';
  readonly config: CompleteThreadConfig;
  /** The control block. */
  readonly words: Int32Array;
  /** A worker before this one died: a PCI function goes on where it was. */
  readonly again: boolean;
  readonly owners: ThreadOwners;
  /** Of a protected device: it is kept. */
  readonly kept?: KeptOrder;
  /** With queue threads: where they and the control thread meet, and which of them this is; none for the control thread. */
  readonly board?: Int32Array;
  readonly lane?: number;
}

/** How a worker has a part in a protected device. */
export interface KeptOrder {
  /** Host offset of what is kept. */
  readonly at: number;
  /** A word that is a `GATE`: the worker gets everything ready, and waits there until it is to go on with the device. */
  readonly gate: Int32Array;
}

/** What a worker says: its device can be used, is saved as was asked for, it cannot go on, or it was closed. */
export type FromWorker =
  | { readonly type: 'ready' }
  /** It waits to go on with a device; it left one as it is. */
  | { readonly type: 'standing' }
  | { readonly type: 'left' }
  | { readonly type: 'saved'; readonly device: SavedDevice }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'closed' };
