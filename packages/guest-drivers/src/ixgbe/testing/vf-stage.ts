import { isBreakdown } from '../../breakdown.js';
import type { MsixMessage } from '../../transport.js';
import { type IxgbeVf, openIxgbeVf } from '../vf-driver.js';
import type { IxgbeVfSetup } from '../vf-setup.js';
import { ScriptedVf } from './scripted-vf.js';

/** A driver in front of a scripted function, and what it told. */
export interface VfStage {
  readonly vf: ScriptedVf;
  readonly driver: IxgbeVf;
  readonly heard: Uint8Array[];
  readonly told: string[];
  /** Milliseconds. */
  time: number;
}

export const MESSAGES: readonly MsixMessage[] = [0, 1, 2].map((data) => ({
  addressLo: 0xfee0_0000,
  addressHi: 0,
  data,
}));

/** A driver that runs. @throws Error when it does not come up */
export function vfStage(vf: ScriptedVf = new ScriptedVf(), change: Partial<IxgbeVfSetup> = {}): VfStage {
  const heard: Uint8Array[] = [];
  const told: string[] = [];
  const clock = { time: 0 };
  const driver = openIxgbeVf({
    access: vf,
    dma: vf.dma,
    messages: MESSAGES,
    now: () => clock.time,
    queueSize: 64,
    patience: { tries: 50 },
    random: () => 0.5,
    events: {
      frame: (frame) => heard.push(frame.bytes()),
      sent: (cookie) => told.push(`sent ${cookie}`),
      writable: (pair) => told.push(`writable ${pair}`),
      link: (isUp) => told.push(isUp ? 'up' : 'down'),
      broken: (why, again) => told.push(`${again ? 'again' : 'over'}: ${why.message}`),
      restarted: () => told.push('restarted'),
    },
    ...change,
  });
  if (isBreakdown(driver)) throw new Error(driver.message);
  return Object.assign(clock, { vf, driver, heard, told });
}

/** Bytes of two hexadecimal digits each. */
export const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.replaceAll(' ', '').match(/../g)!, (byte) => Number.parseInt(byte, 16));

/** 60 bytes: 1, 2, 3 … */
export const FRAME: Uint8Array = Uint8Array.from({ length: 60 }, (_, i) => i + 1);
