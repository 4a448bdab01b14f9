import { basename } from 'node:path';
import type { PortState } from '@ringwire/vhost-user';
import { portCounts, uplinkCounts } from './serve-counts.js';
import { countersText, eventText, type ServeEvent, stateEvent } from './serve-events.js';
import type { ServedPorts, ServeListener } from './serve-ports.js';
import { type Flow, ratesText, StatusLine } from './serve-status.js';
import type { Terminal } from './terminal.js';

/** Tells what happens: lines for people to stderr, with rates below them, and if asked for a JSON object a line to stdout. */
export class ServeReport implements ServeListener {
  private readonly terminal: Terminal;
  private readonly json: boolean;
  private readonly line: StatusLine;
  private readonly states = new Map<string, PortState>();
  private flows: readonly Flow[] = [];
  private at = 0;

  constructor(terminal: Terminal, json: boolean) {
    this.terminal = terminal;
    this.json = json;
    this.line = new StatusLine(terminal);
  }

  tell(event: ServeEvent): void {
    if (this.json) this.terminal.out(`${JSON.stringify(event)}\n`);
    const text = eventText(event);
    if (text !== undefined) this.line.say(text);
  }

  /** Everything is there to be connected to. */
  begin({ ports, uplinks }: ServedPorts, metrics: string | undefined): void {
    for (const { socket, mac: address, isPlugged } of ports) {
      const mac = Array.from(address, (byte) => byte.toString(16).padStart(2, '0')).join(':');
      const plugged = isPlugged === undefined ? {} : { plugged: isPlugged };
      this.tell({ event: 'listening', socket, mac, ...plugged });
    }
    for (const { name, mtu } of uplinks) {
      const fits = mtu === undefined || ports.every((port) => port.mtu <= mtu);
      this.tell({ event: 'uplink', uplink: name, mtu: mtu ?? null, fits });
    }
    if (metrics !== undefined) this.tell({ event: 'metrics', url: metrics });
    const { length } = ports;
    this.line.say(`${length === 1 ? '1 port is' : `${length} ports are`} served`);
  }

  /** Once a second: how much flows. Nothing where no line can be written anew. */
  rates(served: ServedPorts): void {
    if (this.terminal.liveColumns === undefined) return;
    const flows = flowsOf(served);
    const now = performance.now();
    if (this.at > 0) this.line.show(ratesText(this.flows, flows, (now - this.at) / 1000));
    this.flows = flows;
    this.at = now;
  }

  /** All is over. */
  finish(served: ServedPorts): void {
    this.line.end();
    const [ports, uplinks] = [portCounts(served), uplinkCounts(served)];
    if (this.json) this.tell({ event: 'counters', ports, uplinks });
    else this.terminal.out(countersText(ports, uplinks));
  }

  portState(socket: string, state: PortState, features: Uint32Array): void {
    this.tell(stateEvent(socket, state, this.states.get(socket) ?? 'listening', features));
    this.states.set(socket, state);
  }

  portEnd(socket: string, reason: string): void {
    this.states.set(socket, 'listening');
    this.tell({ event: 'disconnected', socket, reason });
  }

  portProblem(socket: string, reason: string): void {
    this.tell({ event: 'problem', socket, reason });
  }

  portLeft(socket: string): void {
    this.tell({ event: 'left', socket });
  }

  lost(what: string, reason: string): void {
    this.tell({ event: 'lost', what, reason });
  }
}

/** In is what comes into the switch. */
function flowsOf(served: ServedPorts): Flow[] {
  return [
    ...portCounts(served).map(({ socket, txFrames, rxFrames, txBytes, rxBytes }) => ({
      name: basename(socket),
      inFrames: txFrames,
      outFrames: rxFrames,
      bytes: txBytes + rxBytes,
    })),
    ...uplinkCounts(served).map(({ uplink, sent, received, sentBytes, receivedBytes }) => ({
      name: uplink,
      inFrames: received,
      outFrames: sent,
      bytes: sentBytes + receivedBytes,
    })),
  ];
}
