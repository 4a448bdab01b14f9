import { LINKS } from '@ringwire/nic-spec/ixgbe';
import type { IxgbeCard } from './card.js';
import type { IxgbePort } from './ixgbe-function.js';

/** LINKS and VFLINKS: up as long as the port is, at the speed that the physical function set (AUTOC). */
export function linksOf({ linkMbits }: IxgbeCard, { isUp = true }: IxgbePort): number {
  return (isUp ? LINKS.UP : 0) | (linkMbits === 1000 ? LINKS.SPEED_1G : LINKS.SPEED_10G);
}

/** FRTIMER: free running, in ms. */
export const timerOf = (card: IxgbeCard): number => Math.floor(card.now() / 1000) >>> 0;
