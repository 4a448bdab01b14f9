import { featuresFromBigInt } from '@ringwire/virtio-spec';
import type { BackEndLink } from './front-end-link.js';
import { FRONT_END_FEATURES } from './front-end-messages.js';
import { configBytes } from './front-end-offer.js';
import { CONFIG, F_PROTOCOL_FEATURES, MEM_REGION, MEM_TABLE, PROTOCOL_F, SINGLE_REGION, u64 } from './messages.js';
import type { SharedRam, SharedRegion } from './shared-ram.js';

/** What is known of a back-end once it is connected. */
export interface BackEndFacts {
  /** Feature words that it offers, without the protocol's own bit. */
  readonly features: Uint32Array;
  /** Its configuration, where it has one. */
  readonly config: Uint8Array | undefined;
  /** Queue pairs that it has at most. */
  readonly pairs: number;
  /** It can be told an MTU. */
  readonly takesMtu: boolean;
}

const PROTOCOL_FEATURES: bigint = FRONT_END_FEATURES.reduce((all, name) => all | (1n << BigInt(PROTOCOL_F[name])), 0n);
const PROTOCOL_BIT: bigint = 1n << BigInt(F_PROTOCOL_FEATURES);
/** Messages name a ring by 8 bits. */
const PAIRS_MAX = 128;

/** Take the steps from the first message on that need no driver. @returns what there is, or why it is of no use */
export function greet(link: BackEndLink, ram: SharedRam): BackEndFacts | string {
  const offered = u64Of(link.ask('GET_FEATURES'));
  if (typeof offered === 'string') return offered;
  link.hasProtocol = (offered & PROTOCOL_BIT) !== 0n;
  const pairs = link.hasProtocol ? negotiateProtocol(link) : 1;
  if (typeof pairs === 'string') return pairs;
  const why =
    roomFor(link, ram) ?? link.tell('SET_OWNER') ?? (link.has('BACKEND_REQ') ? link.openChannel() : undefined);
  if (why !== undefined) return why;
  const features = featuresFromBigInt(offered & ~PROTOCOL_BIT);
  const config = link.has('CONFIG') ? readBackEndConfig(link, features) : undefined;
  return typeof config === 'string' ? config : { features, config, pairs, takesMtu: link.has('NET_MTU') };
}

/** The back-end's configuration. @returns undefined where it has not as much of it as its features say */
export function readBackEndConfig(link: BackEndLink, features: Uint32Array): Uint8Array | undefined | string {
  const size = configBytes(features);
  const payload = new Uint8Array(CONFIG.bytes + size);
  new DataView(payload.buffer).setUint32(CONFIG.size, size, true);
  const answer = link.ask('GET_CONFIG', payload);
  if (typeof answer === 'string') return answer;
  if (answer.byteLength === 0) return undefined;
  const isSame =
    answer.byteLength === payload.length &&
    answer.getUint32(CONFIG.offset, true) === 0 &&
    answer.getUint32(CONFIG.size, true) === size;
  return isSame ? new Uint8Array(answer.buffer, CONFIG.bytes) : link.end('GET_CONFIG was answered for other bytes');
}

/** Hand the memory over. */
export function tellMemory(link: BackEndLink, { regions }: SharedRam): string | undefined {
  if (link.has('CONFIGURE_MEM_SLOTS')) {
    for (const region of regions) {
      const payload = new Uint8Array(SINGLE_REGION.SIZE);
      writeRegion(payload, SINGLE_REGION.region, region);
      const why = link.tell('ADD_MEM_REG', payload, [region.fd]);
      if (why !== undefined) return why;
    }
    return undefined;
  }
  const payload = new Uint8Array(MEM_TABLE.regions + regions.length * MEM_REGION.SIZE);
  new DataView(payload.buffer).setUint32(MEM_TABLE.count, regions.length, true);
  for (const [at, region] of regions.entries()) writeRegion(payload, MEM_TABLE.regions + at * MEM_REGION.SIZE, region);
  const fds = regions.map(({ fd }) => fd);
  return link.tell('SET_MEM_TABLE', payload, fds);
}

/** @returns queue pairs */
function negotiateProtocol(link: BackEndLink): number | string {
  const known = u64Of(link.ask('GET_PROTOCOL_FEATURES'));
  if (typeof known === 'string') return known;
  const why = link.tell('SET_PROTOCOL_FEATURES', u64(known & PROTOCOL_FEATURES));
  if (why !== undefined) return why;
  link.protocol = known & PROTOCOL_FEATURES;
  if (!link.has('MQ')) return 1;
  const pairs = u64Of(link.ask('GET_QUEUE_NUM'));
  if (typeof pairs === 'string') return pairs;
  if (pairs === 0n) return 'the back-end has no queues';
  return pairs < PAIRS_MAX ? Number(pairs) : PAIRS_MAX;
}

/** Why the back-end can't be given all of the memory. */
function roomFor(link: BackEndLink, { regions }: SharedRam): string | undefined {
  const slots = link.has('CONFIGURE_MEM_SLOTS') ? u64Of(link.ask('GET_MAX_MEM_SLOTS')) : BigInt(MEM_TABLE.REGIONS_MAX);
  if (typeof slots === 'string') return slots;
  return slots < regions.length ? `the back-end takes ${slots} memory regions, want ${regions.length}` : undefined;
}

const u64Of = (answer: DataView | string): bigint | string =>
  typeof answer === 'string' ? answer : answer.getBigUint64(0, true);

function writeRegion(payload: Uint8Array, at: number, { gpa, size }: SharedRegion): void {
  const view = new DataView(payload.buffer, at);
  view.setBigUint64(MEM_REGION.gpa, BigInt(gpa), true);
  view.setBigUint64(MEM_REGION.size, BigInt(size), true);
  view.setBigUint64(MEM_REGION.userspace, BigInt(gpa), true);
}
