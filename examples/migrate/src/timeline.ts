import type { MoveReport } from '@ringwire/vdpa';

/** Something that happened in a move. */
export interface MoveEvent {
  /** µs of the lab's clock. */
  readonly at: number;
  readonly text: string;
}

/** One move of the guest. */
export interface MoveRecord {
  readonly from: string;
  readonly to: string;
  readonly rings: string;
  readonly events: readonly MoveEvent[];
  /** When the guest stood still, and when it went on; µs of the lab's clock. */
  readonly pausedAt: number;
  readonly resumedAt: number;
  readonly report: MoveReport;
}

const milliseconds = (microseconds: number): string => (microseconds / 1000).toFixed(2);

/** A move, step by step, in ms since it began. */
export function moveText({ from, to, rings, events, pausedAt, resumedAt, report }: MoveRecord): string {
  const begin = events[0]!.at;
  const lines = events.map(({ at, text }) => `${milliseconds(at - begin).padStart(9)} ms  ${text}`);
  const kibibytes = Math.round(report.bytes / 1024);
  return [
    `${from} → ${to}, ${rings} rings`,
    ...lines,
    `           downtime ${milliseconds(resumedAt - pausedAt)} ms, ${kibibytes} KiB sent`,
    '',
  ].join('\n');
}
