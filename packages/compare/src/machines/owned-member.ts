import { type AdminReply, joinParts, MemberCommands, splitParts } from '@ringwire/guest-drivers';
import type { VpMember } from '@ringwire/vdpa';
import type { OffloadCard } from './offload-card.js';

/** Turns of a card until a command is answered, many times over. */
const TURNS = 100;
const BUDGET = 64;
const OK = 0;

type Send = (done: (reply: AdminReply) => void) => boolean;

/** @returns the status of a command to a card's owner; undefined when it is not answered */
function answered(card: OffloadCard, send: Send): number | undefined {
  let status: number | undefined;
  const isSent = send((reply) => {
    status = reply.status;
  });
  for (let turns = 0; isSent && status === undefined && turns < TURNS; turns++) card.step(BUDGET);
  return status;
}

/** Agree with a card's physical function on commands and device parts. @throws Error for one that does not */
export function ownerOf(card: OffloadCard): MemberCommands {
  const { self, sriov } = card.client;
  const members = new MemberCommands(card.client);
  const agreed: readonly Send[] = [
    (done) => self.begin(done),
    (done) => sriov.begin(done),
    (done) => members.enableParts(done),
  ];
  for (const send of agreed) {
    const status = answered(card, send);
    if (status !== OK) throw new Error(`an administration command ends with status ${status}, want 0`);
  }
  return members;
}

/** A virtual function in the hands of its card's owner, by administration commands of virtio's: what vp_vdpa needs to move it. */
export class AdministeredMember implements VpMember {
  private readonly card: OffloadCard;
  private readonly owner: MemberCommands;
  private readonly id: number;

  /** @param at the function's place on the card */
  constructor(card: OffloadCard, owner: MemberCommands, at: number) {
    this.card = card;
    this.owner = owner;
    this.id = at + 1;
  }

  stop(): boolean {
    return this.isDone((done) => this.owner.stop(this.id, done));
  }

  resume(): boolean {
    return this.isDone((done) => this.owner.resume(this.id, done));
  }

  parts(): Uint8Array | undefined {
    let bytes: Uint8Array | undefined;
    this.isDone((done) =>
      this.owner.getParts(this.id, (parts, reply) => {
        if (parts !== undefined) bytes = joinParts(parts);
        done(reply);
      }),
    );
    return bytes;
  }

  setParts(bytes: Uint8Array): boolean {
    const parts = splitParts(bytes);
    return parts !== undefined && this.isDone((done) => this.owner.setParts(this.id, parts, done));
  }

  private isDone(send: Send): boolean {
    return answered(this.card, send) === OK;
  }
}
