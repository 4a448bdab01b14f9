import { VirtioError } from '@ringwire/virtio-spec';
import { Contender } from './contender.js';
import { TokenBucket } from './token-bucket.js';

const HERE = 'RateNode';
/** What the one with the largest weight sends in a round, in bytes on the wire: two frames of an ordinary MTU. */
const ROUND_BYTES = 3076;
const PRIORITY_MOST = 0xffff;
/** No one's weight counts for less than so much of the largest one's. */
const LEAST_PART = 1 / 1024;

/** What may be set for a port, or for several together, as `devlink port function rate` names it. */
export interface RateNodeSettings {
  /** tx_max: the most that it sends, in Mbit/s; 0: no limit. Anything from 0 on: what no wire reaches does not limit. */
  readonly maxRate: number;
  /** tx_share: what it gets at least while others that share with it send too, in Mbit/s; 0: nothing is kept for it. */
  readonly share: number;
  /** tx_weight: its part among those it shares with; when one of them has a weight, shares do not count there. 0: none. */
  readonly weight: number;
  /** tx_priority: those with a higher one go before all that share with them, who wait as long as they send; 0 to 65535. */
  readonly priority: number;
  /** Most bytes on the wire that go at once behind `maxRate`; undefined: what comes in 50 µs, one frame at least. */
  readonly burst: number | undefined;
}

export const PLAIN_RATES: RateNodeSettings = { maxRate: 0, share: 0, weight: 0, priority: 0, burst: undefined };

/** A port, a group of ports, or all of them: a node of the tree by which what a card sends is shared. */
export class RateNode {
  settings: RateNodeSettings = PLAIN_RATES;
  /** Among those that wait for a limit, their own or the host's. */
  readonly limits: Contender = new Contender();
  /** Among those that wait for the wire. */
  readonly wire: Contender = new Contender();
  parent: RateNode | undefined = undefined;
  readonly children: Set<RateNode> = new Set();
  private readonly bucket: TokenBucket;

  /** @param now ns */
  constructor(now: number) {
    this.bucket = new TokenBucket(now);
    this.limits.limit = this.bucket;
  }

  /** @throws VirtioError for what cannot be; nothing was changed then */
  set(changes: Partial<RateNodeSettings>, now: number): void {
    const settings = { ...this.settings, ...changes };
    checkSettings(settings);
    this.limits.setPriority(settings.priority);
    this.wire.setPriority(settings.priority);
    this.bucket.set(settings.maxRate, settings.burst, now);
    this.settings = settings;
  }

  /** Share with the children of another parent, or of none, from now on. */
  moveTo(parent: RateNode | undefined): void {
    this.parent?.children.delete(this);
    this.parent = parent;
    if (parent === undefined) {
      this.limits.part();
      this.wire.part();
      return;
    }
    parent.children.add(this);
    this.limits.join(parent.limits);
    this.wire.join(parent.wire);
  }

  /**
   * Weigh the children against one another. What none of them has reserved is shared by those that have no share: each
   * weighs an equal part of it, but not more than the smallest share.
   * @param rate what they share, in Mbit/s
   */
  weighChildren(rate: number): void {
    const settings = [...this.children].map((child) => child.settings);
    const byWeight = settings.some(({ weight }) => weight > 0);
    const shares = settings.map(({ share }) => share).filter((share) => share > 0);
    const left = rate - shares.reduce((sum, share) => sum + share, 0);
    const rest = Math.max(1, Math.min(left / (settings.length - shares.length), ...shares));
    const weightOf = ({ weight, share }: RateNodeSettings): number => {
      if (byWeight) return Math.max(1, weight);
      return shares.length === 0 ? 1 : share || rest;
    };
    const largest = Math.max(...settings.map(weightOf));
    for (const child of this.children) {
      const quantum = ROUND_BYTES * Math.max(LEAST_PART, weightOf(child.settings) / largest);
      child.limits.quantum = quantum;
      child.wire.quantum = quantum;
    }
  }
}

function checkSettings({ maxRate, share, weight, priority }: RateNodeSettings): void {
  for (const [field, value] of Object.entries({ maxRate, share, weight }))
    if (!(value >= 0 && Number.isFinite(value))) throw new VirtioError(field, value, '0 or more', HERE);
  if (!Number.isInteger(priority) || priority < 0 || priority > PRIORITY_MOST)
    throw new VirtioError('priority', priority, `an integer from 0 to ${PRIORITY_MOST}`, HERE);
  if (maxRate > 0 && share > maxRate) throw new VirtioError('share', share, `at most maxRate, ${maxRate}`, HERE);
}
