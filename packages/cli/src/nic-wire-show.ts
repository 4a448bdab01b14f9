import { z } from 'zod';
import type { NicCard } from './nic-card.js';
import { pauseWord } from './nic-wire.js';

const Frames = z.object({ bytes: z.number(), packets: z.number() });

/** A card's wire, as it is set, as it is, and what passed. */
export const WireShow = z.object({
  ifname: z.string(),
  link: z.boolean(),
  /** Mbit/s. */
  speed: z.number(),
  duplex: z.enum(['full', 'half']),
  /** What the link has; `set` is what it would have with an end that does its part. */
  pause: z.enum(['off', 'rx', 'tx', 'on']),
  set: z.object({
    speed: z.number(),
    duplex: z.enum(['full', 'half']),
    pause: z.enum(['off', 'rx', 'tx', 'on']),
    highWater: z.number(),
    lowWater: z.number(),
    pauseTime: z.number(),
  }),
  stats: z.object({ rx: Frames, tx: Frames }),
  pauses: z.object({
    rx: z.object({ pause: z.number(), resume: z.number(), ignored: z.number() }),
    tx: z.object({ pause: z.number(), resume: z.number() }),
  }),
  drops: z.record(z.string(), z.number()),
});
export type WireShown = z.output<typeof WireShow>;

export function wireShown({ wire }: NicCard): WireShown {
  const { link, settings, counters } = wire;
  const { speed, duplex, highWater, lowWater, pauseTime } = settings;
  return {
    ifname: 'wire',
    link: link.isUp,
    speed: link.speed,
    duplex: link.duplex,
    pause: pauseWord(link.honoursPause, link.sendsPause),
    set: {
      speed,
      duplex,
      pause: pauseWord(settings.honoursPause, settings.sendsPause),
      highWater,
      lowWater,
      pauseTime,
    },
    stats: {
      rx: { bytes: counters.receivedBytes, packets: counters.receivedFrames },
      tx: { bytes: counters.sentBytes, packets: counters.sentFrames },
    },
    pauses: {
      rx: {
        pause: counters.pausesReceived - counters.resumesReceived,
        resume: counters.resumesReceived,
        ignored: counters.pausesIgnored,
      },
      tx: { pause: counters.pausesSent - counters.resumesSent, resume: counters.resumesSent },
    },
    drops: Object.fromEntries(Object.entries(counters.drops).filter(([, frames]) => frames > 0)),
  };
}

/** The same for people. */
export function wireText(shown: WireShown): string {
  const { ifname, link, speed, duplex, pause, set, stats, pauses, drops } = shown;
  const lost = Object.entries(drops).map(([reason, frames]) => `${reason} ${frames}`);
  return [
    `${ifname}: link ${link ? 'up' : 'down'}, ${speed}Mb/s, ${duplex} duplex, pause ${pause}`,
    `    set to ${set.speed}Mb/s, ${set.duplex} duplex, pause ${set.pause}; the other end is paused above ${set.highWater} bytes, down to ${set.lowWater}, for ${set.pauseTime} quanta`,
    `    RX: ${stats.rx.packets} packets ${stats.rx.bytes} bytes  TX: ${stats.tx.packets} packets ${stats.tx.bytes} bytes`,
    `    PAUSE, to go on: RX: ${pauses.rx.pause}, ${pauses.rx.resume} (not heeded: ${pauses.rx.ignored})  TX: ${pauses.tx.pause}, ${pauses.tx.resume}`,
    ...(lost.length === 0 ? [] : [`    dropped: ${lost.join(', ')}`]),
    '',
  ].join('\n');
}
