import { HostMemory } from '@ringwire/guest-memory';
import { pinThread } from '@ringwire/linux';
import { LearningSwitch } from '@ringwire/net-backend';
import { PeerMemory } from '@ringwire/peer-memory';
import { VhostUserServer } from '@ringwire/vhost-user';
import { NET_SCRATCH_BYTES, NetDevice } from '@ringwire/virtio-device';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { COUNTING_PORT_BYTES, CountingPort } from './counting-port.js';
import { procFile } from './machine.js';
import type { ToVhostServer, VhostServerFigures } from './vhost-job.js';

// The process that DPDK's driver is connected to: network devices behind sockets, served in this thread. It is started,
// asked and ended by `VhostProcess`.

const MEMORY_BYTES = 0x3000_0000;
/** As DPDK's vhost device: it polls, and asks for no notifications as long as frames come now and then. */
const POLL_TURNS = 1000;

class Served {
  private readonly server: VhostUserServer;
  private readonly port: CountingPort;
  private readonly lan: LearningSwitch | undefined;
  private readonly bytes: number;
  private readonly models: readonly NetDevice[];

  constructor(paths: readonly string[], bytes: number) {
    const memory = HostMemory.create(MEMORY_BYTES);
    const own = paths.length * NET_SCRATCH_BYTES;
    const start = own + COUNTING_PORT_BYTES;
    this.bytes = bytes;
    this.port = new CountingPort(memory, own);
    this.lan = paths.length > 1 ? new LearningSwitch(paths.length) : undefined;
    const devices = paths.map((path, index) => {
      const model = new NetDevice({
        memory,
        scratch: index * NET_SCRATCH_BYTES,
        backend: this.lan?.ports[index] ?? this.port,
        mac: Uint8Array.of(2, 0, 0, 0, 1, index),
        // The control queue stays with a vhost-user front-end.
        without: [VIRTIO_NET_F.CTRL_VQ],
        holdWhenFull: true,
        pollTurns: POLL_TURNS,
      });
      return { path, model };
    });
    this.models = devices.map(({ model }) => model);
    this.server = new VhostUserServer({ devices, memory: new PeerMemory(memory, start, memory.size - start) });
    void this.server.run().then(() => process.exit(0));
  }

  close(): void {
    this.server.close();
  }

  figures(): VhostServerFigures {
    const { port, lan, bytes } = this;
    const sum = (counter: 'forwarded' | 'flooded' | 'lost'): number =>
      lan?.ports.reduce((total, { counters }) => total + counters[counter], 0) ?? 0;
    const frames = lan === undefined ? port.frames : sum('forwarded') + sum('flooded');
    const lost = sum('lost');
    const problem = lan === undefined ? port.problem(bytes) : lost > 0 ? this.losses(lost) : undefined;
    return { frames, at: performance.now(), ownBytes: ownBytes(), problem: (frames > 0 ? problem : undefined) ?? null };
  }

  private losses(frames: number): string {
    const drops = this.models.map((model, port) => `port ${port}: ${JSON.stringify(model.snapshot().drops)}`);
    return `the switch lost ${frames} frames; its devices' drops, ${drops.join(', ')}`;
  }
}

/** Memory of this process's own making: neither a front-end's, nor pages of Node's own file, which come as its code is used. */
function ownBytes(): number {
  const status = procFile('self/status');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return field('RssAnon');
}

let served: Served | undefined;

process.on('message', (message: ToVhostServer) => {
  if (message.type === 'serve') {
    pinThread(message.core);
    served = new Served(message.paths, message.bytes);
  }
  process.send?.(served!.figures());
  if (message.type === 'close') served!.close();
});
// Whoever started it is gone.
process.on('disconnect', () => process.exit(1));
