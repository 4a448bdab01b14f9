import type { MigrateResult } from './run-migrate.js';
import { moveText } from './timeline.js';

const DIGEST_CHARACTERS = 16;

/** What is printed of a run. */
export function resultText(result: MigrateResult): string {
  const { moves, pings, streams, startedAt, endedAt } = result;
  const mebibytes = streams.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20;
  const lost = pings.filter(({ answeredAt }) => answeredAt === undefined).length;
  const times = pings.flatMap(({ sentAt, answeredAt }) => (answeredAt === undefined ? [] : [answeredAt - sentAt]));
  const longest = Math.max(...times) / 1000;
  return [
    ...moves.map(moveText),
    `pings: ${pings.length} sent, ${lost} lost, the slowest ${longest.toFixed(2)} ms`,
    ...streams.map(
      ({ name, bytes, resent, sent, received }) =>
        `TCP ${name}: ${bytes} bytes, ${resent} segments sent again, SHA-256 ${received.slice(0, DIGEST_CHARACTERS)}… ${
          sent === received ? 'equal' : `is not ${sent.slice(0, DIGEST_CHARACTERS)}…`
        }`,
    ),
    `${mebibytes.toFixed(1)} MiB in ${((endedAt - startedAt) / 1000).toFixed(0)} ms`,
    '',
  ].join('\n');
}

/** What did not hold, as sentences: bytes that changed, a move that is missing, pings that a move alone does not explain. */
export function problemsOf({ moves, pings, streams }: MigrateResult): string[] {
  const isCovered = (at: number): boolean =>
    moves.some(({ events, resumedAt }) => at >= events[0]!.at && at <= resumedAt);
  const lost = pings.filter(({ sentAt, answeredAt }) => answeredAt === undefined && !isCovered(sentAt));
  return [
    ...(moves.length === 2 ? [] : [`the guest moved ${moves.length} times, want 2`]),
    ...streams
      .filter(({ sent, received }) => sent !== received)
      .map(({ name }) => `${name}: other bytes came than were sent`),
    ...(lost.length === 0 ? [] : [`${lost.length} pings were lost while nothing moved`]),
  ];
}
