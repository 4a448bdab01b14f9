import { PollSet } from '@ringwire/linux';
import { FEATURE_WORDS, featuresToBigInt, hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_CONFIG_SIZE, VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { BackEndDoor } from './front-end-door.js';
import { type BackEndFacts, greet, readBackEndConfig, tellMemory } from './front-end-greeting.js';
import { BackEndLink } from './front-end-link.js';
import { backEndFeatures, frontEndConfig, type OwnFacts, offeredFeatures } from './front-end-offer.js';
import type { FrontEndSettings } from './front-end-options.js';
import { F_PROTOCOL_FEATURES, u64 } from './messages.js';

const PROTOCOL_BIT: bigint = 1n << BigInt(F_PROTOCOL_FEATURES);
/** Between two looks whether a back-end is there yet. */
const DOOR_MS = 10;

/** Whoever is behind the socket, one back-end after another: what is known of it, and what it was told beside rings. */
export class FrontEndPeer {
  /** The connection, while there is one. */
  link: BackEndLink | undefined;
  /** Why the last connection ended, or could not be made use of. */
  problem: string | undefined;
  /** The last one just went, or never was there: it did nothing that a back-end may not do. */
  isGone = true;
  /** Queue pairs and feature words that the driver is offered. */
  pairs = 1;
  offered: Uint32Array = new Uint32Array(FEATURE_WORDS);
  private readonly settings: FrontEndSettings;
  private readonly door: BackEndDoor;
  private facts: BackEndFacts | undefined;
  private hasMemory = false;

  constructor(settings: FrontEndSettings, door: BackEndDoor) {
    this.settings = settings;
    this.door = door;
  }

  /** Connect if somebody is there. @returns why there is no connection that can be used */
  connect(): string | undefined {
    const socket = this.door.open();
    if (socket < 0) return `no back-end at ${this.settings.path}`;
    const link = new BackEndLink(socket, this.settings);
    const facts = greet(link, this.settings.ram);
    if (typeof facts === 'string') {
      this.problem = link.end(facts);
      this.isGone = link.isGone;
      return facts;
    }
    this.link = link;
    this.facts = facts;
    this.hasMemory = false;
    return undefined;
  }

  /** The same, and wait for somebody at most so long. */
  connectWithin(milliseconds: number): string | undefined {
    const { now, pause } = this.settings;
    const deadline = now() + milliseconds;
    const nobody = new PollSet(1);
    for (;;) {
      const why = this.connect();
      if (this.link !== undefined || why === this.problem || now() >= deadline) return why;
      if (pause !== undefined) pause();
      else nobody.block(DOOR_MS);
    }
  }

  /** Let go of a connection that has ended. @returns whether it had */
  settle(): boolean {
    const { link } = this;
    if (link?.problem === undefined) return false;
    this.problem = link.problem;
    this.isGone = link.isGone;
    this.link = undefined;
    return true;
  }

  /** Work out what a driver is offered that comes now. */
  offer(): void {
    const { features, config, pairs } = this.facts!;
    this.pairs = Math.min(this.settings.pairs, hasFeature(features, VIRTIO_NET_F.MQ) ? pairs : 1);
    this.offered = offeredFeatures(features, config, this.own);
  }

  /** Why a back-end that came back can't take over what the driver agreed on with the one before. */
  shortage(accepted: Uint32Array): string | undefined {
    const { features, config, pairs } = this.facts!;
    const offer = offeredFeatures(features, config, this.own);
    if (accepted.some((bits, word) => (bits & ~offer[word]!) !== 0))
      return 'the back-end offers less than the one before';
    return pairs < this.pairs ? `the back-end has ${pairs} queue pairs, want ${this.pairs}` : undefined;
  }

  /** Tell it the features that the driver accepted, the memory that goes with them, and the MTU. @returns why they cannot be */
  agree(link: BackEndLink, accepted: Uint32Array): string | undefined {
    const { ram, mtu } = this.settings;
    const bits = featuresToBigInt(backEndFeatures(accepted, this.facts!.features));
    let why = link.tell('SET_FEATURES', u64(bits | (link.hasProtocol ? PROTOCOL_BIT : 0n)));
    if (why === undefined && !this.hasMemory) {
      why = tellMemory(link, ram);
      this.hasMemory = why === undefined;
    }
    if (why === undefined && mtu !== undefined && link.has('NET_MTU') && hasFeature(accepted, VIRTIO_NET_F.MTU))
      why = link.tell('NET_SET_MTU', u64(BigInt(mtu)));
    if (why !== undefined) this.problem = why;
    return why;
  }

  tellStatus(link: BackEndLink, status: number): void {
    if (link.has('STATUS')) link.tell('SET_STATUS', u64(BigInt(status)));
    else if (status === 0 && link.has('RESET_DEVICE')) link.tell('RESET_DEVICE');
  }

  /** @returns the status that it says, or undefined where it says none that can be */
  askStatus(link: BackEndLink): number | undefined {
    const answer = link.ask('GET_STATUS');
    if (typeof answer === 'string') return undefined;
    const status = answer.getBigUint64(0, true);
    if (status <= 0xffn) return Number(status);
    link.end(`the status is ${status}, want a byte`);
    return undefined;
  }

  /** Ask for the configuration anew if it changed. @returns whether it was */
  takeConfig(link: BackEndLink): boolean {
    if (link.channel?.hasConfigChanged !== true) return false;
    link.channel.hasConfigChanged = false;
    if (!link.has('CONFIG')) return false;
    const config = readBackEndConfig(link, this.facts!.features);
    if (typeof config === 'string') return false;
    this.facts = { ...this.facts!, config };
    return true;
  }

  /** The configuration as the driver is to see it: without a connection the link is down. */
  configuration(): Uint8Array {
    const { facts } = this;
    if (facts === undefined) return new Uint8Array(VIRTIO_NET_CONFIG_SIZE);
    return frontEndConfig(facts.config, facts.features, this.own, this.link !== undefined);
  }

  close(): void {
    this.link?.end('closed');
    this.link = undefined;
    this.door.close();
  }

  private get own(): OwnFacts {
    const { mac, mtu } = this.settings;
    return { mac, mtu: this.facts?.takesMtu === true ? mtu : undefined, pairs: this.pairs };
  }
}
