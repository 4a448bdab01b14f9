import type { WasmMemory } from '@ringwire/guest-memory';
import type { SavedDevice } from '@ringwire/virtio-device';
import { VirtioError } from '@ringwire/virtio-spec';
import * as z from 'zod';
import type { CompleteThreadConfig, FromWorker, ModelConfig, SpaceConfig, ThreadOrder } from './thread-config.js';
import type { ThreadOwners } from './thread-owners.js';

const whole = (min: number, max: number): z.ZodNumber => z.number().int().min(min).max(max);
const Host = whole(0, 0xffff_ffff);
const Address = whole(0, Number.MAX_SAFE_INTEGER);
const QueueSize = whole(1, 0x8000).exactOptional();
const Features = z.array(whole(0, 127)).readonly().exactOptional();
const Words = z.custom<Int32Array>(
  (value) => value instanceof Int32Array && value.buffer instanceof SharedArrayBuffer,
  'want an Int32Array over a SharedArrayBuffer',
);

const Space: z.ZodType<SpaceConfig> = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('identity') }),
  z.strictObject({
    type: z.literal('regions'),
    regions: z
      .array(z.strictObject({ gpa: Address, size: Address, host: Host, readOnly: z.boolean().exactOptional() }))
      .min(1),
  }),
  z.strictObject({
    type: z.literal('vtd'),
    rootTable: Address,
    sourceId: whole(0, 0xffff),
    pasid: whole(0, 0xf_ffff).exactOptional(),
    bus: Words,
    cached: whole(2, 2 ** 20).exactOptional(),
  }),
]);

const Backend = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('null') }),
  z.strictObject({
    type: z.literal('loopback'),
    at: Host,
    bytes: whole(1, 0xffff_ffff),
    frames: whole(1, 0x1_0000).exactOptional(),
  }),
  z.strictObject({
    type: z.literal('cable'),
    at: Host,
    bytes: whole(1, 0xffff_ffff),
    end: z.literal([0, 1]),
    frames: whole(1, 0x1_0000).exactOptional(),
  }),
]);

const Model: z.ZodType<ModelConfig> = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('entropy'), queueSize: QueueSize }),
  z.strictObject({
    type: z.literal('net'),
    backend: z.union([Backend, z.array(Backend).min(2).max(64).readonly()]),
    scratch: Host,
    mac: z.array(whole(0, 0xff)).length(6).readonly(),
    pairs: whole(1, 0x8000).exactOptional(),
    mtu: whole(0, 0xffff).exactOptional(),
    rxQueueSize: QueueSize,
    txQueueSize: QueueSize,
    controlQueueSize: QueueSize,
    features: Features,
    without: Features,
    holdWhenFull: z.boolean().exactOptional(),
    pollTurns: whole(0, 0x7fff_ffff).exactOptional(),
    validateChecksums: z.boolean().exactOptional(),
  }),
  z.strictObject({ type: z.literal('module'), url: z.string().min(1), options: z.unknown().exactOptional() }),
]);

/** A `ThreadConfig`, made complete. */
export const ThreadConfigSchema: z.ZodType<CompleteThreadConfig> = z
  .strictObject({
    transport: z.enum(['mmio', 'pci']),
    model: Model,
    memory: z.custom<WasmMemory>(isSharedMemory, 'want a shared WebAssembly.Memory'),
    space: Space.default({ type: 'identity' }),
    offer: z.custom<Uint32Array>((value) => value instanceof Uint32Array, 'want feature words 0–3').exactOptional(),
    vectors: whole(0, 0x800).default(64),
    admin: z.strictObject({ queues: whole(1, 0xffff).exactOptional(), queueSize: QueueSize }).exactOptional(),
    doorbells: whole(1, 0x1_0000).default(64),
    budget: whole(1, 0x1_0000).default(64),
    spinTurns: whole(0, 0x7fff_ffff).default(1000),
  })
  .refine(({ model, admin }) => admin === undefined || model.type !== 'net' || !Array.isArray(model.backend), {
    path: ['admin'],
    message: 'none with queue threads, which know no flow rules',
  });

export const ThreadOwnersSchema: z.ZodType<ThreadOwners> = z.strictObject({
  bus: whole(0, 0x7fff_ffff),
  memory: whole(0, 0x7fff_ffff),
});

export const ThreadOrderSchema: z.ZodType<ThreadOrder> = z.strictObject({
  type: z.literal('run'),
  config: ThreadConfigSchema,
  words: Words,
  again: z.boolean(),
  owners: ThreadOwnersSchema,
  kept: z.strictObject({ at: Host, gate: Words }).exactOptional(),
  board: Words.exactOptional(),
  lane: whole(0, 63).exactOptional(),
});

export const FromWorkerSchema: z.ZodType<FromWorker> = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ready') }),
  z.strictObject({ type: z.literal('standing') }),
  z.strictObject({ type: z.literal('left') }),
  z.strictObject({ type: z.literal('saved'), device: z.custom<SavedDevice>(isSavedDevice, 'want a saved device') }),
  z.strictObject({ type: z.literal('failed'), reason: z.string() }),
  z.strictObject({ type: z.literal('closed') }),
]);

/** @throws VirtioError naming the first field that is not as it has to be */
export function parseAs<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  const field = path.length === 0 ? 'config' : path.join('.');
  throw new VirtioError(field, String(valueAt(value, path)), message, where);
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return at;
}

/** Its own worker made it: that it is one is enough. */
function isSavedDevice(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'snapshot' in value && 'pages' in value && 'reasons' in value;
}

function isSharedMemory(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'buffer' in value && value.buffer instanceof SharedArrayBuffer;
}
