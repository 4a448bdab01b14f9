import type { CaptureClock } from '@ringwire/net-backend';
import type { DeviceTrace } from './device-trace.js';

/** Where a {@link ChromeTrace} goes. */
export interface ChromeTraceOptions {
  /** Takes the text, piece by piece. */
  readonly output: (text: string) => void;
  /** Time for events, in µs. */
  readonly clock: CaptureClock;
  /** What the device is called; `virtio device` unless given. */
  readonly name?: string;
  /** What a queue is called beside its index, such as `receiveq1`. */
  readonly queueName?: (queue: number) => string;
}

/** A device is a process of the trace, and these and its queues are the threads. */
const PROCESS = 1;
const CONTROL = 0;
const INTERRUPTS = 1;
const FIRST_QUEUE = 2;

/** A burst on a queue: chains in hand, used elements that are not visible yet, and since when. */
interface Burst {
  since: number;
  taken: number;
  inHand: number;
  put: number;
}

type Args = Readonly<Record<string, string | number | boolean>>;

/**
 * Writes a trace in Chrome's trace event format (JSON object form), which Perfetto and chrome://tracing show: a track
 * for the control plane, one for interrupts, and one for each queue with its bursts from the first chain taken until its
 * used elements are visible.
 */
export class ChromeTrace implements DeviceTrace {
  private readonly options: ChromeTraceOptions;
  private readonly bursts: Burst[] = [];
  private readonly named = new Set<number>();
  private separator = '';
  private isClosed = false;

  /** Writes the beginning; {@link close} writes the end. */
  constructor(options: ChromeTraceOptions) {
    this.options = options;
    options.output('{"displayTimeUnit":"ns","traceEvents":[\n');
    this.metadata('process_name', CONTROL, options.name ?? 'virtio device');
    this.name(CONTROL, 'control plane');
    this.name(INTERRUPTS, 'interrupts');
  }

  register(isWrite: boolean, name: string, bytes: number, value: number): void {
    const shown = `0x${value.toString(16)}`;
    this.instant(CONTROL, `${isWrite ? 'write' : 'read'} ${name}`, { bytes, value: shown });
  }

  control(what: string): void {
    this.instant(CONTROL, what, {});
  }

  kicked(queue: number, isServed: boolean): void {
    // The driver may name any number.
    if (isServed) this.instant(this.trackOf(queue), 'available buffer notification', {});
    else this.instant(CONTROL, 'available buffer notification ignored', { queue });
  }

  taken(queue: number, chains: number): void {
    const burst = this.burstOf(queue);
    if (burst.inHand === 0 && burst.put === 0) burst.since = this.options.clock();
    burst.taken += chains;
    burst.inHand += chains;
  }

  givenBack(queue: number): void {
    const burst = this.burstOf(queue);
    burst.taken--;
    burst.inHand--;
    if (burst.inHand === 0 && burst.put === 0) this.endBurst(queue, burst, false);
  }

  put(queue: number, chains: number): void {
    const burst = this.burstOf(queue);
    burst.inHand -= chains;
    burst.put += chains;
  }

  published(queue: number, isOwed: boolean): void {
    const burst = this.burstOf(queue);
    if (burst.put > 0) this.endBurst(queue, burst, isOwed);
  }

  notifiedUsed(queue: number): void {
    this.instant(this.trackOf(queue), 'used buffer notification', {});
  }

  notifiedConfig(): void {
    this.instant(CONTROL, 'configuration change notification', {});
  }

  message(vector: number): void {
    this.instant(INTERRUPTS, `MSI-X vector ${vector}`, { vector });
  }

  line(isAsserted: boolean): void {
    this.instant(INTERRUPTS, isAsserted ? 'line asserted' : 'line released', {});
  }

  /** Write the end; what comes later is left out. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.options.output('\n]}\n');
  }

  /** What is still in hand goes into the next burst. */
  private endBurst(queue: number, burst: Burst, isOwed: boolean): void {
    const { since, taken, put, inHand } = burst;
    const now = this.options.clock();
    const args = { taken, used: put, notificationOwed: isOwed };
    this.event({ ph: 'X', name: 'burst', ts: since, dur: Math.max(0, now - since), tid: this.trackOf(queue), args });
    burst.since = now;
    burst.taken = inHand;
    burst.put = 0;
  }

  private burstOf(queue: number): Burst {
    let burst = this.bursts[queue];
    if (burst === undefined) {
      burst = { since: 0, taken: 0, inHand: 0, put: 0 };
      this.bursts[queue] = burst;
    }
    return burst;
  }

  private trackOf(queue: number): number {
    const track = FIRST_QUEUE + queue;
    const name = this.options.queueName?.(queue);
    this.name(track, name === undefined ? `queue ${queue}` : `queue ${queue} ${name}`);
    return track;
  }

  /** Name a track when it is used first. */
  private name(track: number, name: string): void {
    if (this.named.has(track)) return;
    this.named.add(track);
    this.metadata('thread_name', track, name);
    this.event({ ph: 'M', name: 'thread_sort_index', tid: track, args: { sort_index: track } });
  }

  private metadata(kind: string, tid: number, name: string): void {
    this.event({ ph: 'M', name: kind, tid, args: { name } });
  }

  private instant(tid: number, name: string, args: Args): void {
    this.event({ ph: 'i', s: 't', name, tid, ts: this.options.clock(), args });
  }

  private event(event: { readonly tid: number; readonly [field: string]: string | number | Args }): void {
    if (this.isClosed) return;
    this.options.output(`${this.separator}${JSON.stringify({ pid: PROCESS, ...event })}`);
    this.separator = ',\n';
  }
}
