import { LINKS } from '@ringwire/nic-spec/ixgbe';
import type { IxgbeCard } from './card.js';
import type { IxgbePort } from './ixgbe-function.js';

/** LINKS and VFLINKS: 10 Gbit/s, up as long as the port is. */
export const linksOf = ({ isUp = true }: IxgbePort): number => (isUp ? LINKS.UP | LINKS.SPEED_10G : LINKS.SPEED_10G);

/** FRTIMER: free running, in ms. */
export const timerOf = (card: IxgbeCard): number => Math.floor(card.now() / 1000) >>> 0;
