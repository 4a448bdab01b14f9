import { HostMemory } from '@ringwire/guest-memory';
import { LearningSwitch, type SwitchPortCounters } from '@ringwire/net-backend';
import type { Uplink } from '@ringwire/net-uplink';
import { PeerMemory, type PortState, SystemError, VhostUserServer } from '@ringwire/vhost-user';
import { NET_SCRATCH_BYTES, NetDevice } from '@ringwire/virtio-device';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { ServeConfig } from './serve-config.js';
import { openUplink, uplinkBytes } from './serve-uplinks.js';
import { UnusableInput } from './terminal.js';

/** What is told of while ports are served. */
export interface ServeListener {
  state(socket: string, state: PortState, features: Uint32Array): void;
  end(socket: string, reason: string): void;
}

interface ServedPorts {
  /** Serve until {@link close}. */
  run(): Promise<void>;
  close(): void;
  /** What came in at each port. */
  counters(): ({ socket: string } & SwitchPortCounters)[];
  readonly uplinks: readonly Uplink[];
}

/** Network devices and uplinks on a switch. @throws UnusableInput for a socket or an uplink that cannot be made */
export function servePorts(config: ServeConfig, listener: ServeListener): ServedPorts {
  const { ports, memoryMiB } = config;
  const uplinksAt = ports.length * NET_SCRATCH_BYTES;
  const own = config.uplinks.reduce((sum, uplink) => sum + uplinkBytes(uplink), uplinksAt);
  const memory = HostMemory.create(Math.min(own + memoryMiB * 2 ** 20, 2 ** 32));
  const lan = new LearningSwitch(ports.length + config.uplinks.length);
  const devices = ports.map(({ socket, mac, mtu, queueSize, hold, rings }, index) => {
    const model = new NetDevice({
      memory,
      scratch: index * NET_SCRATCH_BYTES,
      backend: lan.ports[index]!,
      mac,
      mtu,
      // The control queue stays with a vhost-user front-end.
      without: [VIRTIO_NET_F.CTRL_VQ],
      rxQueueSize: queueSize,
      txQueueSize: queueSize,
      holdWhenFull: hold,
    });
    return { path: socket, model, rings };
  });
  const uplinks = openUplinks(config, memory, uplinksAt);
  for (const [index, uplink] of uplinks.entries()) {
    const port = lan.ports[ports.length + index]!;
    port.attach(uplink);
    uplink.attach(port);
  }
  const peers = new PeerMemory(memory, own, memory.size - own);
  const server = serverOf(
    {
      devices,
      memory: peers,
      tasks: uplinks,
      onState: listener.state,
      onEnd: listener.end,
    },
    uplinks,
  );
  return {
    run: async () => {
      try {
        await server.run();
      } finally {
        for (const uplink of uplinks) uplink.close();
      }
    },
    close: () => server.close(),
    counters: () => ports.map(({ socket }, index) => ({ socket, ...lan.ports[index]!.counters })),
    uplinks,
  };
}

/** All of them, or none. */
function openUplinks({ uplinks, mtu }: ServeConfig, memory: HostMemory, from: number): Uplink[] {
  const opened: Uplink[] = [];
  let at = from;
  try {
    for (const uplink of uplinks) {
      opened.push(openUplink(uplink, memory, at, mtu));
      at += uplinkBytes(uplink);
    }
  } catch (error) {
    for (const uplink of opened) uplink.close();
    throw error;
  }
  return opened;
}

function serverOf(
  options: ConstructorParameters<typeof VhostUserServer>[0],
  uplinks: readonly Uplink[],
): VhostUserServer {
  try {
    return new VhostUserServer(options);
  } catch (error) {
    for (const uplink of uplinks) uplink.close();
    if (error instanceof SystemError || error instanceof RangeError)
      throw new UnusableInput(`a socket cannot be made: ${error.message}`);
    throw error;
  }
}
