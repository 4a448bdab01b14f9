import { readFileSync } from 'node:fs';
import { parseRecording } from './recording.js';
import { replay } from './replay.js';

// A host loop around a virtio-mmio device: RAM, a bus, an interrupt line. In place of a processor a recording of what Linux
// did to such a device in QEMU drives it, from the first register to a frame in each direction.
const { argv } = process;
const file = argv[2] ?? new URL('../data/linux-6.1-net.txt', import.meta.url);
const recording = parseRecording(readFileSync(file, 'utf8'));
const { compared, differences, queueSizes, status, sent, received, interrupts } = replay(recording);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').replace(/../g, '$& ').trimEnd();
console.log(`${recording.accesses.length} register accesses of Linux, ${compared} of them reads`);
console.log(`${compared - differences.length} answers are as recorded, ${differences.length} are not`);
for (const difference of differences) console.log(`  ${difference}`);
console.log(`queues of ${queueSizes.join(' and ')}, status 0x${status.toString(16)}, ${interrupts} interrupts`);
for (const frame of sent) console.log(`Linux sent     ${hex(frame)}`);
for (const frame of received) console.log(`Linux received ${hex(frame)}`);
process.exitCode = differences.length === 0 && received.length > 0 ? 0 : 1;
