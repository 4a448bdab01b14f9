import { type Duplex, PLAIN_WIRE, type WireSettings } from '@ringwire/eswitch';
import { z } from 'zod';

const Whole = z.number().int().min(0);
/** Which PAUSE frames there are: none, those that come are heeded, they are sent, or both. IEEE 802.3 annex 31B */
const PAUSE = ['off', 'rx', 'tx', 'on'] as const;

/** What of a wire is the physical function's driver's to set, also while the card is served. */
const ofSettings = {
  /** Mbit/s. */
  speed: Whole.optional(),
  duplex: z.enum(['full', 'half'] satisfies Duplex[]).optional(),
  pause: z.enum(PAUSE).optional(),
  /** Bytes in the receive buffer, and quanta of 512 bit times. */
  highWater: Whole.optional(),
  lowWater: Whole.optional(),
  pauseTime: Whole.optional(),
};
export const WireWords = z.strictObject(ofSettings);

/** A card's wire in a file. */
export const WireFile = z.strictObject({
  ...ofSettings,
  /** Metres. */
  cable: z.number().min(0).optional(),
  paced: z.boolean().optional(),
  /** Mbit/s. */
  hostRate: z.number().min(0).optional(),
  capture: z.string().min(1).optional(),
});

/** A card's wire, with nothing left open. */
export interface WireConfig {
  readonly settings: WireSettings;
  /** Length of the cable, in m. */
  readonly cable: number;
  /** Frames take their time; otherwise they pass at once. */
  readonly isPaced: boolean;
  /** Mbit/s that the card reads from its host, and writes to it; 0: no limit. */
  readonly hostRate: number;
  /** Path of a pcapng file of all that passes. */
  readonly capture: string | undefined;
}

export function wireConfig(file: z.output<typeof WireFile> = {}): WireConfig {
  const { cable = 0, paced = true, hostRate = 0, capture, ...words } = file;
  return { settings: { ...PLAIN_WIRE, ...wireSettings(words) }, cable, isPaced: paced, hostRate, capture };
}

/** What of a wire's settings the words come to; what they do not say is left out. */
export function wireSettings({ pause, ...rest }: z.output<typeof WireWords>): Partial<WireSettings> {
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  if (pause === undefined) return given;
  return { ...given, honoursPause: pause === 'rx' || pause === 'on', sendsPause: pause === 'tx' || pause === 'on' };
}

export const pauseWord = (honours: boolean, sends: boolean): (typeof PAUSE)[number] =>
  PAUSE[(honours ? 1 : 0) + (sends ? 2 : 0)]!;
