import { unlinkSync } from 'node:fs';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import {
  accept,
  close,
  connectUnix,
  listenUnix,
  newEvent,
  PollSet,
  SystemError,
  signalEvent,
  takeEvent,
} from '@ringwire/linux';
import type { PeerMemory } from '@ringwire/peer-memory';
import type { DeviceSnapshot, Reason } from '@ringwire/virtio-device';
import { VirtioError } from '@ringwire/virtio-spec';
import { type DeviceFacts, factsOf } from './device-facts.js';
import { explainPort, snapshotPort } from './inspect-port.js';
import { VRING_FD } from './messages.js';
import { type RingLayouts, Session, type SessionDevice } from './session.js';
import type { Vring } from './vring.js';

/** Messages of one front-end, and chains of one ring, in a turn. */
const MESSAGES_PER_TURN = 32;
const CHAINS_PER_TURN = 256;
/** Turns of the devices between two looks at descriptors while frames flow: a look costs a system call. */
const TURNS_PER_LOOK = 64;
/** Turns without work before the thread waits: a busy driver's next burst mostly comes sooner. */
const IDLE_TURNS = 64;
/** Longest wait, so that the time limit on messages is looked at. */
const WAIT_MS_MAX = 1000;
/** A ring's number is a byte beside its event descriptors. */
const VRINGS_MAX: number = VRING_FD.INDEX_MASK + 1;
/** A message that began has to be whole by then. */
const MESSAGE_USECS = 5_000_000;
/** Between two tries to reach a front-end: doubled from try to try, as long as none says anything. */
const RETRY_USECS = 100_000;
const RETRY_USECS_MAX = 5_000_000;

/** One device and the path of the socket at which a front-end finds it, or is found. */
export type ServedDevice = ServedSocket & SessionDevice;

interface ServedSocket {
  readonly path: string;
  /**
   * The front-end listens at the path (QEMU's `server=on`): connect to it, now and again as long as it is not there, and
   * whenever it is gone. Unless set, the socket is made here and front-ends connect.
   */
  readonly connect?: boolean;
  /** Rings that are offered; of `packed`, front-ends that want split ones are refused. Both unless given. */
  readonly rings?: RingLayouts;
}

/** `listening`: none is, or is reached yet. `connected`: a front-end is there. `running`: it has started a ring, so features are negotiated. */
export type PortState = 'listening' | 'connected' | 'running';

/** What else the loop serves, such as an uplink: frames that come and go by other ways than rings. */
export interface LoopTask {
  /** To be waited for; -1 while there is nothing to wait for. */
  readonly fd: number;
  /** More of them, never more than when the server was made. */
  readonly moreFds?: readonly number[];
  /** One of the descriptors was found ready. */
  ready(): void;
  /**
   * Do a bounded amount of work.
   * @returns 0: nothing to do until a descriptor is ready, or a device has room
   */
  pump(budget: number): number;
  /** When to pump at the latest, in µs of the server's clock; never unless given. */
  deadline?(): number;
}

/** How a {@link VhostUserServer} is made. */
export interface VhostUserServerOptions {
  readonly devices: readonly ServedDevice[];
  /** Where front-ends' memory goes. */
  readonly memory: PeerMemory;
  /** None unless given. Their descriptors stay open while the server runs. */
  readonly tasks?: readonly LoopTask[];
  /** A clock in µs that never goes back; the platform's unless given. */
  readonly now?: () => number;
  /** A connection ended, for people: the socket's path and why. */
  readonly onEnd?: (path: string, reason: string) => void;
  /** A port is in another state now. @param features negotiated words 0–3; what {@link onEnd} tells is not told here */
  readonly onState?: (path: string, state: PortState, features: Uint32Array) => void;
}

interface Port extends ServedSocket {
  readonly device: SessionDevice;
  readonly facts: DeviceFacts;
  /** -1 where it is the front-end that listens. */
  readonly listener: number;
  session: Session | undefined;
  /** When to connect next, in µs, and how long to wait after that. */
  retryAt: number;
  retryAfter: number;
  state: PortState;
}

/** What a descriptor in the poll set stands for. */
type Watched =
  | { readonly port: Port; readonly vring?: Vring; readonly isChannel?: true }
  | { readonly task: LoopTask }
  | undefined;

/**
 * Serves devices to vhost-user front-ends, one front-end per socket at a time, all in the thread that calls {@link run}.
 *
 * The loop polls while frames flow, with a bounded step per device and a turn of Node's event loop in between. When
 * nothing flows it waits for sockets and kick events in poll(2), in a thread of libuv's pool: the event loop is free then.
 */
export class VhostUserServer {
  private readonly ports: readonly Port[];
  private readonly tasks: readonly LoopTask[];
  private readonly memory: PeerMemory;
  private readonly now: () => number;
  private readonly onEnd: NonNullable<VhostUserServerOptions['onEnd']>;
  private readonly onState: NonNullable<VhostUserServerOptions['onState']>;
  private readonly wake: number;
  private readonly set: PollSet;
  private watched: Watched[] = [];
  private closing = false;
  private cutsSeen: number;
  private running = false;

  /**
   * @throws SystemError for a path where no socket can be, RangeError for one that is too long; the sockets made so far
   *         are closed again
   * @throws VirtioError for a device with more queues than the protocol has numbers for
   */
  constructor(options: VhostUserServerOptions) {
    const { devices, memory, tasks = [], now = () => performance.now() * 1000 } = options;
    const { onEnd = () => {}, onState = () => {} } = options;
    this.memory = memory;
    this.tasks = tasks;
    this.cutsSeen = memory.cuts;
    this.now = now;
    this.onEnd = onEnd;
    this.onState = onState;
    const facts = devices.map(factsOf);
    for (const { queueSizes } of facts)
      if (queueSizes.length > VRINGS_MAX)
        throw new VirtioError('queues', queueSizes.length, `at most ${VRINGS_MAX}`, 'VhostUserServer');
    const ports: Port[] = [];
    try {
      for (const [at, device] of devices.entries()) {
        const listener = device.connect ? -1 : listenUnix(device.path);
        const { path, connect, rings } = device;
        ports.push({
          ...{ path, ...(connect && { connect }), ...(rings && { rings }) },
          device,
          facts: facts[at]!,
          listener,
          session: undefined,
          state: 'listening',
          retryAt: 0,
          retryAfter: RETRY_USECS,
        });
        if (device.connect) this.reach(ports.at(-1)!);
      }
      this.wake = newEvent();
    } catch (error) {
      for (const port of ports) {
        port.session?.close();
        endListener(port);
      }
      throw error;
    }
    this.ports = ports;
    const rings = facts.reduce((sum, { queueSizes }) => sum + queueSizes.length, 0);
    const others = tasks.reduce((sum, { moreFds = [] }) => sum + 1 + moreFds.length, 0);
    this.set = new PollSet(1 + 3 * devices.length + rings + others);
  }

  /** Whether a front-end is connected to a device's socket. */
  isConnected(path: string): boolean {
    return this.ports.some((port) => port.path === path && port.session !== undefined);
  }

  /** In the order of the devices. */
  get states(): PortState[] {
    return this.ports.map(({ state }) => state);
  }

  /** Why nothing moves through a device, the most telling first. @throws VirtioError for a path that is not served */
  explain(path: string): Reason[] {
    const { facts, session } = this.portAt(path);
    return explainPort(facts, session, this.memory.memory);
  }

  /** A device and its rings as data. @throws VirtioError for a path that is not served */
  snapshot(path: string): DeviceSnapshot {
    const { facts, session } = this.portAt(path);
    return snapshotPort(facts, session);
  }

  private portAt(path: string): Port {
    const found = this.ports.find((port) => port.path === path);
    if (found === undefined) throw new VirtioError('path', path, 'a socket that is served', 'VhostUserServer');
    return found;
  }

  /** Serve until {@link close} is called; then every connection is ended and every socket's path is gone. */
  async run(): Promise<void> {
    this.running = true;
    try {
      let idle = 0;
      for (let turn = 0; !this.closing; turn++) {
        if (turn % TURNS_PER_LOOK === 0) {
          for (const port of this.ports) if (this.isDue(port)) this.reach(port);
          this.watch();
          if (this.set.look() > 0) this.serveReady();
          await yieldToEventLoop();
        }
        idle = this.work() ? 0 : idle + 1;
        if (idle < IDLE_TURNS || this.closing) continue;
        await this.wait();
        idle = 0;
      }
    } finally {
      for (const port of this.ports) {
        this.end(port, 'the server was closed');
        endListener(port);
      }
      close(this.wake);
    }
  }

  /** End {@link run}. A server that was never run is let go of at once. */
  close(): void {
    if (this.closing) return;
    this.closing = true;
    if (this.running) signalEvent(this.wake);
    else void this.run();
  }

  /** A turn of all devices and tasks. @returns whether there was work */
  private work(): boolean {
    let done = 0;
    for (const port of this.ports) {
      try {
        done += port.session?.port.step(CHAINS_PER_TURN) ?? 0;
      } catch (error) {
        this.giveUp(port, error);
      }
    }
    for (const task of this.tasks) done += task.pump(CHAINS_PER_TURN);
    for (const port of this.ports) this.attempt(port, finishTurn);
    for (const port of this.ports)
      if (port.session?.port.broken !== undefined) this.end(port, port.session.port.broken);
    if (this.memory.cuts !== this.cutsSeen) this.endCut();
    return done > 0;
  }

  /** A file that a front-end shares was cut short: it is the one to go. */
  private endCut(): void {
    this.cutsSeen = this.memory.cuts;
    for (const port of this.ports)
      if (port.session?.wasCut()) this.end(port, 'a file was cut short while it was mapped');
  }

  private watch(): void {
    const { set } = this;
    set.clear();
    this.watched = [];
    const add = (fd: number, watched: Watched): void => {
      set.add(fd);
      this.watched.push(watched);
    };
    add(this.wake, undefined);
    for (const task of this.tasks) {
      if (task.fd >= 0) add(task.fd, { task });
      for (const fd of task.moreFds ?? []) add(fd, { task });
    }
    for (const port of this.ports) {
      if (port.listener >= 0) add(port.listener, { port });
      const { session } = port;
      if (session === undefined) continue;
      add(session.socket, { port });
      const { channel } = session.port;
      if (channel !== undefined) add(channel.socket, { port, isChannel: true });
      for (const vring of session.port.vrings) if (vring.kick >= 0) add(vring.kick, { port, vring });
    }
  }

  /** Kicks before messages, which may close the descriptors that were found ready. */
  private serveReady(): void {
    for (const [index, watched] of this.watched.entries()) {
      if (watched === undefined || !this.set.isReady(index)) continue;
      if ('task' in watched) {
        watched.task.ready();
        continue;
      }
      const { port, vring, isChannel } = watched;
      if (vring !== undefined) this.attempt(port, (session) => session.port.kicked(vring));
      if (isChannel) this.attempt(port, (session) => session.serveChannel());
    }
    for (const port of this.ports) {
      this.attempt(port, (session) => session.serve(MESSAGES_PER_TURN));
      const { session } = port;
      if (session !== undefined) {
        if (session.problem === undefined && this.now() - session.waitingSince > MESSAGE_USECS)
          session.problem = 'a message that began was never whole';
        if (session.problem !== undefined) this.end(port, session.problem);
      }
      if (port.listener >= 0) this.admit(port);
      this.tellState(port);
    }
  }

  private tellState(port: Port): void {
    const { session } = port;
    if (session === undefined) return;
    const state = session.port.isRunning ? 'running' : 'connected';
    if (state === port.state) return;
    port.state = state;
    this.onState(port.path, state, session.port.features);
  }

  /** One front-end at a time: another one finds its connection closed. */
  private admit(port: Port): void {
    const socket = accept(port.listener);
    if (socket < 0) return;
    if (port.session !== undefined) close(socket);
    else this.begin(port, socket);
  }

  private isDue(port: Port): boolean {
    return port.listener < 0 && port.session === undefined && this.now() >= port.retryAt;
  }

  /** Try to reach a front-end that listens. */
  private reach(port: Port): void {
    port.retryAt = this.now() + port.retryAfter;
    port.retryAfter = Math.min(2 * port.retryAfter, RETRY_USECS_MAX);
    try {
      this.begin(port, connectUnix(port.path));
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  }

  private begin(port: Port, socket: number): void {
    const { device, rings = 'both' } = port;
    port.session = new Session({ socket, device, memory: this.memory, rings, now: this.now });
  }

  private end(port: Port, reason: string): void {
    const { session } = port;
    if (session === undefined) return;
    // One that says nothing is reached for less and less often.
    if (session.wasHeard) port.retryAfter = RETRY_USECS;
    port.retryAt = Math.max(port.retryAt, this.now() + port.retryAfter);
    port.session = undefined;
    port.state = 'listening';
    try {
      session.close();
    } catch {
      // The connection is closed all the same, and this is its last word.
    }
    this.onEnd(port.path, reason);
  }

  /** Whatever a front-end brings a device type to, it ends at its connection. */
  private attempt(port: Port, call: (session: Session) => void): void {
    const { session } = port;
    if (session === undefined) return;
    try {
      call(session);
    } catch (error) {
      this.giveUp(port, error);
    }
  }

  private giveUp(port: Port, error: unknown): void {
    this.end(port, `the device cannot go on: ${error instanceof Error ? error.message : String(error)}`);
  }

  private async wait(): Promise<void> {
    let until = Number.POSITIVE_INFINITY;
    for (const { session, listener, retryAt } of this.ports)
      until = Math.min(until, session?.port.deadline() ?? (listener < 0 ? retryAt : until));
    for (const task of this.tasks) until = Math.min(until, task.deadline?.() ?? until);
    const milliseconds = Math.min(WAIT_MS_MAX, Math.floor((until - this.now()) / 1000));
    if (milliseconds < 1) return;
    this.watch();
    await this.set.wait(milliseconds);
    takeEvent(this.wake);
    this.serveReady();
  }
}

const finishTurn = ({ port }: Session): void => port.finishTurn();

function endListener({ path, listener }: Port): void {
  if (listener < 0) return;
  close(listener);
  try {
    unlinkSync(path);
  } catch {
    // Somebody took it away: gone is what it is to be.
  }
}
