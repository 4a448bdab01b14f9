// A back-end: one device for each path, all on one switch. Writes `ready`, then a line for each connection that ends.
// The first argument says at which step of its in-flight records it is killed, in the middle of a burst; 0: at none.
import { HostMemory } from '@ringwire/guest-memory';
import { LearningSwitch } from '@ringwire/net-backend';
import { PeerMemory } from '@ringwire/peer-memory';
import { NET_SCRATCH_BYTES, NetDevice } from '@ringwire/virtio-device';
import { PackedRecord } from '../inflight-packed.js';
import { SplitRecord } from '../inflight-split.js';
import { VhostUserServer } from '../server.js';

const [killAt, ...paths] = process.argv.slice(2);

let step = 0;
/** A method that counts as two steps, before and behind it. */
function counted<This, Args extends unknown[], Result>(method: (this: This, ...args: Args) => Result): typeof method {
  const count = (): void => {
    if (++step === Number(killAt)) process.kill(process.pid, 'SIGKILL');
  };
  return function (...args) {
    count();
    const result = method.apply(this, args);
    count();
    return result;
  };
}
for (const { prototype } of [SplitRecord, PackedRecord])
  for (const name of ['took', 'put', 'beforePublish', 'published'] as const)
    Object.assign(prototype, { [name]: counted(prototype[name]) });

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
