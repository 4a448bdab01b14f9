import { HostMemory } from '@ringwire/guest-memory';
import { LearningSwitch, type SwitchPortCounters } from '@ringwire/net-backend';
import { PeerMemory, SystemError, VhostUserServer } from '@ringwire/vhost-user';
import { NET_SCRATCH_BYTES, NetDevice } from '@ringwire/virtio-device';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { UnusableInput } from './terminal.js';

interface ServedPortsOptions {
  readonly paths: readonly string[];
  readonly memoryMiB: number;
  readonly queueSize: number;
  readonly hold: boolean;
}

interface ServedPorts {
  /** Serve until {@link close}. */
  run(): Promise<void>;
  close(): void;
  /** What came in at each port. */
  counters(): ({ socket: string } & SwitchPortCounters)[];
}

/** Network devices on a switch, each behind a socket. @throws UnusableInput for a socket that cannot be made */
export function servePorts(options: ServedPortsOptions, onEnd: (path: string, reason: string) => void): ServedPorts {
  const { paths, memoryMiB, queueSize, hold } = options;
  const own = paths.length * NET_SCRATCH_BYTES;
  const memory = HostMemory.create(Math.min(own + memoryMiB * 2 ** 20, 2 ** 32));
  const lan = new LearningSwitch(paths.length);
  const devices = paths.map((path, index) => {
    const model = new NetDevice({
      memory,
      scratch: index * NET_SCRATCH_BYTES,
      backend: lan.ports[index]!,
      mac: Uint8Array.of(2, 0, 0, 0, index >>> 8, index + 1),
      // The control queue stays with a vhost-user front-end.
      without: [VIRTIO_NET_F.CTRL_VQ],
      rxQueueSize: queueSize,
      txQueueSize: queueSize,
      holdWhenFull: hold,
    });
    return { path, model };
  });
  const peers = new PeerMemory(memory, own, memory.size - own);
  const server = serverOf({ devices, memory: peers, onEnd });
  return {
    run: () => server.run(),
    close: () => server.close(),
    counters: () => lan.ports.map(({ counters }, index) => ({ socket: paths[index]!, ...counters })),
  };
}

function serverOf(options: ConstructorParameters<typeof VhostUserServer>[0]): VhostUserServer {
  try {
    return new VhostUserServer(options);
  } catch (error) {
    if (error instanceof SystemError || error instanceof RangeError)
      throw new UnusableInput(`a socket cannot be made: ${error.message}`);
    throw error;
  }
}
