import type { WirePort } from '@ringwire/eswitch';
import { HostMemory } from '@ringwire/guest-memory';
import { SystemError } from '@ringwire/linux';
import type { NetBackend, SwitchPortCounters } from '@ringwire/net-backend';
import { PcapUplink, type Uplink } from '@ringwire/net-uplink';
import { PeerMemory } from '@ringwire/peer-memory';
import { type LoopTask, type PortState, type ServedDevice, VhostUserServer } from '@ringwire/vhost-user';
import { type DeviceSnapshot, NET_SCRATCH_BYTES, NetDevice } from '@ringwire/virtio-device';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { GrowingFile } from './capture-file.js';
import type { LiveReport } from './live-report.js';
import { AuditLog } from './nic-audit.js';
import type { NicCard } from './nic-card.js';
import { DropCapture } from './nic-drops.js';
import { openVendorFunction, VENDOR_CARD_BYTES } from './nic-functions.js';
import { WireCaptureFile } from './nic-wire-capture.js';
import type { ServeConfig } from './serve-config.js';
import { lanBytes, now, openLan } from './serve-lan.js';
import { ServeTrace } from './serve-trace.js';
import { planUplink, type UplinkPlan } from './serve-uplinks.js';
import { ServedVduse } from './serve-vduse.js';
import { UnusableInput } from './terminal.js';

/** Turns in vain before a driver is asked to notify: as long as frames come now and then, it need not. */
const POLL_TURNS = 1000;
const PAGE_BYTES = 4096;
/** Between two looks at what grows and what may have ended by itself. */
const LOOK_MS = 200;

/** What is told of while ports are served. */
export interface ServeListener {
  portState(socket: string, state: PortState, features: Uint32Array): void;
  portEnd(socket: string, reason: string): void;
  /** Something keeps the device from working, while its driver may be there. */
  portProblem(socket: string, reason: string): void;
  /** A VDUSE device is not served any more, and stays on the kernel's vDPA bus. */
  portLeft(socket: string): void;
  /** An uplink, or the trace, ended by itself. */
  lost(name: string, reason: string): void;
}

/** One port of the switch with a device at it. */
export interface ServedPort {
  /** Path of the socket, or `vduse:NAME`. */
  readonly socket: string;
  readonly mac: Uint8Array;
  /** Undefined for a virtual function on a vendor's card, which keeps its device to itself. */
  readonly model: NetDevice | undefined;
  readonly mtu: number;
  /** Of a VDUSE device: whether it is on the kernel's vDPA bus, where the process before left it. */
  readonly isPlugged?: boolean;
  /** What came in at the port. */
  readonly counters: SwitchPortCounters;
}

/** Network devices and uplinks on a switch, which may be that of a card. */
export class ServedPorts {
  readonly ports: readonly ServedPort[];
  readonly uplinks: readonly Uplink[] = [];
  /** The card that the ports are the functions of, with `--nic`. */
  readonly card: NicCard | undefined;
  /** What is set for it, and by whom. */
  readonly audit: AuditLog | undefined;
  private readonly server: VhostUserServer;
  /** By the port's name. */
  private readonly vduse = new Map<string, ServedVduse>();
  private readonly files: GrowingFile[] = [];
  private readonly listener: ServeListener;
  private readonly lost = new Set<string>();
  private isRunning = false;
  private isClosed = false;

  /** @throws UnusableInput, VirtioError for what cannot be made; nothing of it is left then */
  constructor(config: ServeConfig, listener: ServeListener) {
    this.listener = listener;
    const { ports, memoryMiB } = config;
    const plans = config.uplinks.map(planUplink);
    const lanAt = ports.length * NET_SCRATCH_BYTES;
    const cardsAt = alignedUp(lanAt + lanBytes(config), PAGE_BYTES);
    const cards = ports.filter(({ vendor }) => vendor !== undefined).length;
    const uplinksAt = cardsAt + cards * VENDOR_CARD_BYTES;
    const own = plans.reduce((sum, { bytes }) => sum + bytes, uplinksAt);
    const memory = HostMemory.create(Math.min(own + memoryMiB * 2 ** 20, 2 ** 32));
    const peers = new PeerMemory(memory, own, memory.size - own);
    try {
      this.audit = this.opened(config.audit, (path) => new AuditLog(path));
      const lan = openLan(config, memory, lanAt, this.audit);
      this.card = lan.card;
      this.openCaptures(config, lan.card);
      const capture = this.opened(config.trace, (path) => new ServeTrace(path));
      const served: ServedDevice[] = [];
      let cardAt = cardsAt;
      this.ports = ports.map(({ socket, vduse, vendor, mac, mtu, queues, queueSize, rings, hold, connect }, index) => {
        const { backend, counters } = lan.ports[index]!;
        const trace = capture === undefined ? {} : { trace: capture.port(socket) };
        if (vendor !== undefined) {
          const function_ = { socket, vendor, mac, hold, backend, ...trace };
          const vdpa = openVendorFunction(memory, cardAt, function_, now);
          cardAt += VENDOR_CARD_BYTES;
          lan.card?.admit(index, mac, mtu);
          served.push({ path: socket, vdpa, rings, connect });
          return { socket, mac, model: undefined, mtu, counters };
        }
        const model = new NetDevice({
          memory,
          scratch: index * NET_SCRATCH_BYTES,
          backend,
          mac,
          mtu,
          pairs: queues,
          // The control queue stays with a vhost-user front-end; in VDUSE there is none.
          ...(vduse === undefined ? { externalControl: true } : { without: [VIRTIO_NET_F.CTRL_VQ] }),
          rxQueueSize: queueSize,
          txQueueSize: queueSize,
          holdWhenFull: hold,
          pollTurns: POLL_TURNS,
          ...trace,
        });
        lan.card?.serve(index, model, mac, mtu);
        if (vduse === undefined) {
          served.push({ path: socket, model, rings, connect });
          return { socket, mac, model, mtu, counters };
        }
        const kept = new ServedVduse({ socket, name: vduse, model, rings }, peers, listener);
        this.vduse.set(socket, kept);
        return { socket, mac, model, mtu, isPlugged: kept.device.isTakenUp, counters };
      });
      this.uplinks = this.openUplinks(plans, memory, uplinksAt, config.mtu);
      for (const [index, uplink] of this.uplinks.entries()) {
        const port: NetBackend = lan.uplinks[index]!;
        port.attach(uplink);
        uplink.attach(port);
      }
      this.server = serverOf({
        devices: served,
        memory: peers,
        tasks: [
          ...this.uplinks,
          ...Array.from(this.vduse.values(), ({ device }) => device),
          ...(lan.card === undefined ? [] : [wireTask(lan.card.wire)]),
        ],
        onState: (socket, state, features) => listener.portState(socket, state, features),
        onEnd: (socket, reason) => listener.portEnd(socket, reason),
      });
    } catch (error) {
      this.letGo();
      throw error;
    }
  }

  /** Of each port, in their order. */
  get states(): PortState[] {
    const sockets = this.server.states.values();
    return this.ports.map(({ socket }) => this.vduse.get(socket)?.state ?? sockets.next().value!);
  }

  /** A port's device and rings as data. */
  snapshot(socket: string): DeviceSnapshot {
    return this.vduse.get(socket)?.device.snapshot() ?? this.server.snapshot(socket);
  }

  /** Why no frames flow, port by port. */
  explain(): LiveReport {
    const ports = this.ports.map(({ socket }, index) => ({
      socket,
      state: this.states[index]!,
      reasons: this.vduse.get(socket)?.device.explain() ?? this.server.explain(socket),
    }));
    return { schema: 'ringwire.live/1', ports };
  }

  /** Serve until {@link close}. */
  async run(): Promise<void> {
    if (this.isClosed) return;
    this.isRunning = true;
    const timer = setInterval(() => this.look(), LOOK_MS);
    try {
      await this.server.run();
    } finally {
      clearInterval(timer);
      this.letGo();
    }
  }

  /** End {@link run}; without it, let go at once. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.server.close();
    if (!this.isRunning) this.letGo();
  }

  private openUplinks(
    plans: readonly UplinkPlan[],
    memory: HostMemory,
    from: number,
    mtu: number | undefined,
  ): Uplink[] {
    const opened: Uplink[] = [];
    let at = from;
    const isAudience = (): boolean => this.states.every((state) => state === 'running');
    try {
      for (const plan of plans) {
        opened.push(plan.open(memory, at, mtu, isAudience));
        at += plan.bytes;
      }
    } catch (error) {
      for (const uplink of opened) uplink.close();
      throw error;
    }
    return opened;
  }

  private openCaptures({ nic, drops }: ServeConfig, card: NicCard | undefined): void {
    if (card === undefined) return;
    card.wire.tap = this.opened(nic?.wire.capture, (path) => new WireCaptureFile(path));
    const dropped = this.opened(drops, (path) => new DropCapture(path, card.eswitch.ports.length));
    card.eswitch.watchDrops(dropped);
    card.wire.dropWatcher = dropped;
  }

  private opened<T extends GrowingFile>(path: string | undefined, open: (path: string) => T): T | undefined {
    if (path === undefined) return undefined;
    const file = open(path);
    this.files.push(file);
    return file;
  }

  /** Files show what was gathered; what ended by itself is told of, once. */
  private look(): void {
    for (const file of this.files) file.flush();
    for (const uplink of this.uplinks) if (uplink instanceof PcapUplink) uplink.flush();
    for (const { name, problem } of [...this.uplinks, ...this.files]) {
      if (problem === undefined || this.lost.has(name)) continue;
      this.lost.add(name);
      this.listener.lost(name, problem);
    }
  }

  private letGo(): void {
    for (const served of this.vduse.values()) served.close();
    for (const uplink of this.uplinks) uplink.close();
    for (const file of this.files) file.close();
  }
}

/** A wire in the server's loop: it waits for no descriptor, but knows when its next frame ends. */
const wireTask = (wire: WirePort): LoopTask => ({
  fd: -1,
  ready: () => {},
  pump: (budget) => wire.step(budget),
  deadline: () => wire.deadline(),
});

const alignedUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit;

function serverOf(options: ConstructorParameters<typeof VhostUserServer>[0]): VhostUserServer {
  try {
    return new VhostUserServer(options);
  } catch (error) {
    if (error instanceof SystemError || error instanceof RangeError)
      throw new UnusableInput(`a socket cannot be made: ${error.message}`);
    throw error;
  }
}
