import { HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { isVdpaRefusal, ShadowVdpa, simParent, type VdpaHost } from '@ringwire/vdpa';
import type { Layout, Timing } from '../case-plan.js';
import type { Options } from '../options.js';
import { digits, median, spreadPercent } from '../statistics.js';
import { DRIVER_BYTES, MovingDriver } from './moving-driver.js';

const HOST_BYTES = 0x40_0000;
const BURST = 32;
/** Bursts between two looks at the clock. */
const BURSTS = 100;
/** A round of a guest that nothing comes back to. */
const MOST_TURNS = 1000;
const LAYOUTS: readonly Layout[] = ['split', 'packed'];

export interface ShadowPlan {
  /** Such as `shadow/split/64`. */
  readonly name: string;
  readonly layout: Layout;
}

/** The same frames out and back with a shadow queue between driver and device, and without. */
export interface ShadowFigure {
  readonly name: string;
  /** ns for a frame's way out and back: driver, device, and the shadow if there is one, in one thread. */
  readonly nsPerFrame: number;
  readonly plainNsPerFrame: number;
  /** Rate with by rate without. */
  readonly ratio: number;
  /** Of either's rounds, in percent. */
  readonly spread: number;
  readonly frames: number;
  readonly lost: number;
  readonly doubled: number;
  readonly problem: string | null;
}

const PLANS: readonly ShadowPlan[] = LAYOUTS.map((layout) => ({ name: `shadow/${layout}/64`, layout }));

/** In quick mode only what was asked for by name. */
export const selectShadow = ({ filter, quick }: Pick<Options, 'filter' | 'quick'>): readonly ShadowPlan[] =>
  quick && filter === undefined ? [] : PLANS.filter(({ name }) => filter === undefined || filter.test(name));

export function measureShadow({ name, layout }: ShadowPlan, { warmSeconds, seconds, repeats }: Timing): ShadowFigure {
  const plain = openDriver(layout, false);
  const shadowed = openDriver(layout, true);
  for (const driver of [plain, shadowed]) nsPerFrame(driver, warmSeconds);
  const rounds = { plain: [] as number[], shadowed: [] as number[] };
  for (let repeat = 0; repeat < repeats; repeat++) {
    // Whoever was second is first the next time: what gets faster or slower meanwhile does so for both.
    const order = [
      () => rounds.plain.push(nsPerFrame(plain, seconds)),
      () => rounds.shadowed.push(nsPerFrame(shadowed, seconds)),
    ];
    for (const measure of repeat % 2 === 0 ? order : order.reverse()) measure();
  }
  const sum = (value: (driver: MovingDriver) => number): number => value(plain) + value(shadowed);
  const [ns, plainNs] = [median(rounds.shadowed), median(rounds.plain)];
  const lost = sum((driver) => driver.lost + driver.sent - driver.received);
  const doubled = sum((driver) => driver.doubled);
  return {
    name,
    nsPerFrame: ns,
    plainNsPerFrame: plainNs,
    ratio: plainNs / ns,
    spread: Math.max(spreadPercent(rounds.plain), spreadPercent(rounds.shadowed)),
    frames: sum(({ sent }) => sent),
    lost,
    doubled,
    problem: lost + doubled > 0 ? `${lost} frames lost, ${doubled} doubled` : null,
  };
}

/** A guest with a device of the simulator's, whose frames come back, in a memory of its own. */
function openDriver(layout: Layout, isShadowed: boolean): MovingDriver {
  const memory = HostMemory.create(HOST_BYTES + DRIVER_BYTES);
  let clock = 0;
  const host: VdpaHost = { memory, pages: new PageAllocator(0, HOST_BYTES), now: () => clock++ };
  const device = simParent(host, { device: { holdWhenFull: true } }).add('shadow', {});
  if (isVdpaRefusal(device)) throw new Error(device.message);
  const front = isShadowed ? new ShadowVdpa({ device, pages: host.pages, rings: layout }) : device;
  const driver = new MovingDriver(memory, HOST_BYTES, front, layout);
  driver.start();
  return driver;
}

function nsPerFrame(driver: MovingDriver, seconds: number): number {
  const begin = process.hrtime.bigint();
  const end = begin + BigInt(Math.round(seconds * 1e9));
  const before = driver.received;
  let now = begin;
  do {
    for (let burst = 0; burst < BURSTS; burst++) driver.turn(BURST);
    now = process.hrtime.bigint();
  } while (now < end);
  const frames = driver.received - before;
  for (let turn = 0; turn < MOST_TURNS && driver.turn(0) > 0; turn++);
  return Number(now - begin) / frames;
}

/** The figures as lines for people. */
export function formatShadow(figures: readonly ShadowFigure[]): string {
  return figures
    .map(({ name, nsPerFrame: ns, plainNsPerFrame, ratio, spread, problem }) => {
      const cells = `${digits(ns).padStart(9)} ns, without ${digits(plainNsPerFrame)}: ${digits(ns - plainNsPerFrame)} ns more, ratio ${ratio.toFixed(2)}`;
      const failed = problem === null ? '' : `    FAILED: ${problem}\n`;
      return `  ${name.padEnd(24)}${cells}${`${spread.toFixed(0)} %`.padStart(8)}\n${failed}`;
    })
    .join('');
}

/** What is measured. */
export const SHADOW_TEXT: string =
  'shadow: a frame of 64 B out and back by a device of the simulator, with a shadow queue between driver and device and without, ' +
  'all in one thread; the rings behind have the format of those in front';
