import type { GuestRegion, WasmMemory } from '@ringwire/guest-memory';

/** Where the frames of a network device go: nowhere, or back, with copies waiting in `bytes` of host memory from `at` on. */
export type BackendConfig =
  | { readonly type: 'null' }
  | {
      readonly type: 'loopback';
      readonly at: number;
      readonly bytes: number;
      /** Most frames that wait; 1024 unless given. */
      readonly frames?: number;
    };

/** A network device: the options of `NetDevice` that can be posted, with its backend. */
export interface NetModelConfig {
  readonly type: 'net';
  readonly backend: BackendConfig;
  /** Host memory of the device's own: `NET_SCRATCH_BYTES` from here on. */
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
  /** PCI alone: administration virtqueues of the device, for its self group; none unless given. */
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
}

/** What a worker says: its device can be used, it cannot go on, or it was closed. */
export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'closed' };
