import type { WireControl, WireSettings } from '@ringwire/eswitch';
import { FCCFG, FCRTH, FCRTL, FCTTV, LINKS, MFLCN, PF_REG, PF_ROW, PFDTXGSWC, rowAt } from '@ringwire/nic-spec/ixgbe';
import { VirtioError } from '@ringwire/virtio-spec';
import type { IxgbeCard } from './card.js';
import type { IxgbePort } from './function-options.js';

/** Mbit/s at least of what LINKS can say. */
const SPEEDS = [
  [10_000, LINKS.SPEED_10G],
  [1000, LINKS.SPEED_1G],
  [0, LINKS.SPEED_100M],
] as const;

/** LINKS and VFLINKS: up as long as the port is, at the wire's speed, or, without one, at what AUTOC says. */
export function linksOf(card: IxgbeCard, { isUp = true }: IxgbePort): number {
  const speed = SPEEDS.find(([least]) => card.wireMbits >= least)!;
  return (isUp ? LINKS.UP : 0) | speed[1];
}

/** FRTIMER: free running, in ms. */
export const timerOf = (card: IxgbeCard): number => Math.floor(card.now() / 1000) >>> 0;

/** Keeps the wire, and whether functions reach one another in the card, as the physical function's registers say. */
export class WireSettler {
  private readonly card: IxgbeCard;
  private readonly port: IxgbePort;
  private known = '';

  constructor(card: IxgbeCard, port: IxgbePort) {
    this.card = card;
    this.port = port;
  }

  /** @returns how many settings were refused: a driver may have written what cannot be */
  settle(): number {
    const { card, port } = this;
    const { registers } = card;
    if (port.localSwitching !== undefined)
      port.localSwitching = (registers.get(PF_REG.PFDTXGSWC) & PFDTXGSWC.LBE) !== 0;
    if (port.wire === undefined) return 0;
    const wanted = wireSettings(card);
    const text = JSON.stringify(wanted);
    if (text === this.known) return 0;
    this.known = text;
    return configured(port.wire, wanted) ? 0 : 1;
  }
}

/** AUTOC, MFLCN, FCCFG, and of the first traffic class FCRTH, FCRTL and FCTTV. 82599 datasheet §3.7.7 */
function wireSettings(card: IxgbeCard): Partial<WireSettings> {
  const { registers } = card;
  const high = registers.get(rowAt(PF_ROW.FCRTH, 0));
  const low = registers.get(rowAt(PF_ROW.FCRTL, 0));
  const sendsPause = (registers.get(PF_REG.FCCFG) & FCCFG.TFCE_MASK) === FCCFG.TFCE_802_3X && (high & FCRTH.FCEN) !== 0;
  return {
    speed: card.linkMbits,
    duplex: 'full',
    honoursPause: (registers.get(PF_REG.MFLCN) & MFLCN.RFCE) !== 0,
    sendsPause,
    ...(sendsPause
      ? {
          highWater: high & FCRTH.RTH_MASK,
          lowWater: (low & FCRTL.XONE) === 0 ? 0 : low & FCRTL.RTL_MASK,
          pauseTime: registers.get(rowAt(PF_ROW.FCTTV, 0)) & FCTTV.TTV_MASK,
        }
      : {}),
  };
}

function configured(wire: WireControl, settings: Partial<WireSettings>): boolean {
  try {
    wire.configure(settings);
    return true;
  } catch (error) {
    if (error instanceof VirtioError) return false;
    throw error;
  }
}
