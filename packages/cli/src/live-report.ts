import { type Reason, sentence } from '@ringwire/virtio-device';
import { z } from 'zod';
import { Line } from './device-snapshot.js';
import { painter } from './terminal.js';

/** Why no frames flow through devices that are served now: what `/explain` of `ringwire serve` answers. */
export interface LiveReport {
  readonly schema: 'ringwire.live/1';
  readonly ports: readonly LivePort[];
}

interface LivePort {
  readonly socket: string;
  readonly state: 'listening' | 'connected' | 'running';
  readonly reasons: readonly Reason[];
}

const ReasonFile: z.ZodType<Reason> = z.object({
  level: z.enum(['problem', 'note']),
  queue: z.number().int().min(0).nullable(),
  text: Line,
  clause: z.object({ id: Line, spec: Line, by: z.enum(['driver', 'device']), at: Line.nullable() }).nullable(),
});

/** As it comes from outside. */
export const LiveReportFile: z.ZodType<LiveReport> = z.object({
  schema: z.literal('ringwire.live/1'),
  ports: z.array(
    z.object({ socket: Line, state: z.enum(['listening', 'connected', 'running']), reasons: z.array(ReasonFile) }),
  ),
});

/** For people: problems before notes, port by port. */
export function liveText({ ports }: LiveReport, color: boolean): string {
  const paint = painter(color);
  const sections = ports.map(({ socket, state, reasons }) => {
    const lines = (level: Reason['level']): string[] =>
      reasons.filter((reason) => reason.level === level).map((reason) => `  - ${sentence(reason)}`);
    const problems = lines('problem').map((line) => paint('red', line));
    return [`${paint('bold', socket)}: ${state}`, ...problems, ...lines('note')].join('\n');
  });
  const count = problemsOf(ports);
  const verdict =
    count === 0 ? paint('green', 'No problem found.') : paint('red', `${count} problem${count === 1 ? '' : 's'}.`);
  return `${[...sections, verdict].join('\n\n')}\n`;
}

export const problemsOf = (ports: readonly LivePort[]): number =>
  ports.reduce((sum, { reasons }) => sum + reasons.filter(({ level }) => level === 'problem').length, 0);
