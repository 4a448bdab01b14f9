import { AdminMember, type AdminReply, MemberCommands } from '@ringwire/guest-drivers';
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

/** A virtual function in the hands of its card's owner. @param at its place on the card */
export const memberOf = (card: OffloadCard, owner: MemberCommands, at: number): VpMember =>
  new AdminMember(owner, at + 1, { tries: TURNS, pause: () => void card.step(BUDGET) });
