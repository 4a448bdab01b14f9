import { VirtioError } from '@ringwire/virtio-spec';
import { checkCable } from './cable-length.js';
import type { WirePort } from './wire-port.js';
import { linkBetween, sameLink } from './wire-settings.js';

/** A cable between two cards: what one sends, the other gets, at the slower one's speed. */
export class WireCable {
  readonly metres: number;
  private readonly one: WirePort;
  private readonly other: WirePort;

  constructor(one: WirePort, other: WirePort, metres: number) {
    this.one = one;
    this.other = other;
    this.metres = metres;
  }

  otherEndOf(end: WirePort): WirePort {
    return end === this.one ? this.other : this.one;
  }

  /** Something about an end may be other than before. */
  settle(): void {
    const { one, other } = this;
    const links = [linkBetween(one.settings, other.settings), linkBetween(other.settings, one.settings)] as const;
    if (sameLink(links[0], one.link) && sameLink(links[1], other.link)) return;
    one.takeDown(links[0]);
    other.takeDown(links[1]);
    // With half duplex both ends share what they send on.
    const isHalf = links[0].duplex === 'half';
    one.sendOn(one.ownMedium, isHalf ? [one.sending, other.sending] : [one.sending]);
    if (isHalf) other.sendOn(one.ownMedium, [one.sending, other.sending]);
    else other.sendOn(other.ownMedium, [other.sending]);
    one.comeUp();
    other.comeUp();
  }
}

/**
 * Plug a cable into two cards of one thread and one clock. Both links come up, at the slower one's speed; with half duplex,
 * if one of them has it; with PAUSE as far as one sends it and the other honours it.
 * @param metres of the cable, 5 ns each; 0 unless given
 * @returns unplug it again
 * @throws VirtioError for one card alone, and for a cable that is longer than the wires' `cable` may be
 */
export function joinWires(one: WirePort, other: WirePort, metres = 0): () => void {
  if (one === other) throw new VirtioError('other', 'the same wire', "another card's", 'joinWires');
  for (const { settings } of [one, other]) checkCable(metres, settings.speed);
  const cable = new WireCable(one, other, metres);
  one.plugCable(cable);
  other.plugCable(cable);
  cable.settle();
  return () => {
    if (one.isAt(cable)) one.plug(undefined);
  };
}
