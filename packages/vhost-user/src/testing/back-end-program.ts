// A back-end: one device for each path, all on one switch. Writes `ready`, then a line for each connection that ends.
import { HostMemory } from '@ringwire/guest-memory';
import { LearningSwitch } from '@ringwire/net-backend';
import { NET_SCRATCH_BYTES, NetDevice } from '@ringwire/virtio-device';
import { PeerMemory } from '../peer-memory.js';
import { VhostUserServer } from '../server.js';

const paths = process.argv.slice(2);
const memory = HostMemory.create(0x1000_0000);
const lan = new LearningSwitch(paths.length);
const devices = paths.map((path, n) => ({
  path,
  model: new NetDevice({
    memory,
    scratch: n * NET_SCRATCH_BYTES,
    backend: lan.ports[n]!,
    mac: Uint8Array.of(2, 0, 0, 0, 0, n),
    features: [5],
  }),
}));
const start = paths.length * NET_SCRATCH_BYTES;
const server = new VhostUserServer({
  devices,
  memory: new PeerMemory(memory, start, memory.size - start),
  onEnd: (path, reason) => process.stdout.write(`${paths.indexOf(path)} ${reason}\n`),
});
process.stdout.write('ready\n');
void server.run();
// Never without whoever started it.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(), 1000).unref();
