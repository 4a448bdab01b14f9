import { join } from 'node:path';
import { HostMemory } from '@ringwire/guest-memory';
import { LearningSwitch } from '@ringwire/net-backend';
import { PeerMemory } from '@ringwire/peer-memory';
import { VhostUserServer } from '@ringwire/vhost-user';
import { NET_SCRATCH_BYTES, NetDevice } from '@ringwire/virtio-device';

/** Room for the memory of two testpmds that are there at the same time. */
const MEMORY_BYTES = 0x6000_0000;

/** Two network devices on a switch, each behind a socket, served by this process. */
export class ServedPair {
  readonly lan: LearningSwitch = new LearningSwitch(2);
  readonly paths: readonly string[];
  /** Why connections ended, in their order. */
  readonly ends: string[] = [];
  readonly memory: PeerMemory;
  private readonly server: VhostUserServer;
  private readonly running: Promise<void>;

  constructor(directory: string) {
    const memory = HostMemory.create(MEMORY_BYTES);
    this.paths = ['a', 'b'].map((name) => join(directory, `${name}.sock`));
    const devices = this.paths.map((path, index) => {
      const model = new NetDevice({
        memory,
        scratch: index * NET_SCRATCH_BYTES,
        backend: this.lan.ports[index]!,
        mac: Uint8Array.of(2, 0, 0, 0, 0, index + 1),
        pairs: 2,
        // The control queue stays with a vhost-user front-end.
        externalControl: true,
        holdWhenFull: true,
      });
      return { path, model };
    });
    const start = 2 * NET_SCRATCH_BYTES;
    this.memory = new PeerMemory(memory, start, memory.size - start);
    this.server = new VhostUserServer({
      devices,
      memory: this.memory,
      onEnd: (_path, reason) => this.ends.push(reason),
    });
    this.running = this.server.run();
  }

  async close(): Promise<void> {
    this.server.close();
    await this.running;
  }
}
