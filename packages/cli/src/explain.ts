import { join } from 'node:path';
import { SavedMemory } from '@ringwire/ring-oracle';
import { type DeviceSnapshot, explainSnapshot, inspectQueue, RecordedMemory } from '@ringwire/virtio-device';
import type { Command } from 'commander';
import { DeviceSnapshotFile } from './device-snapshot.js';
import { explainLive } from './explain-live.js';
import { explainJson, explainText } from './explain-report.js';
import { readJson } from './input-file.js';
import { type MemoryDump, readDump } from './memory-dump.js';
import { type ExitCode, type Terminal, UnusableInput } from './terminal.js';

interface ExplainOptions {
  readonly json?: true;
}

const HELP = `
The folder is what snapshotFiles() of @ringwire/virtio-device makes of a device at any moment:
  device.json   status, features, queues, interrupts, counters and reasons
  pages.json    which page of the device's memory lies where in pages.bin; as "ringwire check" reads it
  pages.bin     the pages that the rings lie in

Of devices that are served now the reasons are told port by port:
  ringwire serve --port /tmp/a.sock --metrics 127.0.0.1:9100
  ringwire explain http://127.0.0.1:9100

Exit code: 0 no problem found, 1 somebody has to act, 2 the input cannot be used.
`;

/** `ringwire explain`: why no frames flow through a saved device. */
export function addExplain(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  program
    .command('explain')
    .summary('say why no frames flow through a virtio device, saved or served now')
    .description(
      'Say in sentences why nothing moves in a virtio device: its status, features, queues and their rings, device type and interrupts.',
    )
    .argument('<where>', 'a saved device, a folder; or the URL that "ringwire serve --metrics" tells')
    .option('--json', 'print the reasons as JSON')
    .addHelpText('after', HELP)
    .action(async (where: string, options: ExplainOptions) => {
      const isLive = /^https?:\/\//.test(where);
      done(isLive ? await explainLive(where, options.json === true, terminal) : explain(where, options, terminal));
    });
}

function explain(folder: string, options: ExplainOptions, terminal: Terminal): ExitCode {
  const devicePath = join(folder, 'device.json');
  const snapshot = readJson(devicePath, DeviceSnapshotFile);
  requireIndexes(devicePath, snapshot);
  const dump = readDump(join(folder, 'pages.json'), 0n);
  const memory = new RecordedMemory(new SavedMemory(dump.pieces), snapshot.unreachable.map(BigInt));
  requireRings(devicePath, snapshot, memory, dump);
  const reasons = explainSnapshot(snapshot, memory);
  terminal.out(
    options.json === true ? explainJson(snapshot, reasons, dump) : explainText(snapshot, reasons, dump, terminal.color),
  );
  return reasons.some(({ level }) => level === 'problem') ? 1 : 0;
}

/** A queue is at the place of its index: the transport's vectors are by index, too. */
function requireIndexes(path: string, { queues }: DeviceSnapshot): void {
  const wrong = queues.findIndex(({ index }, at) => index !== at);
  if (wrong >= 0) throw new UnusableInput(`${path}: queues[${wrong}].index: is ${queues[wrong]!.index}, want ${wrong}`);
}

/** Whoever saved the device saved the rings of queues that it has enabled. */
function requireRings(path: string, snapshot: DeviceSnapshot, memory: RecordedMemory, dump: MemoryDump): void {
  for (const queue of snapshot.queues) {
    for (const { name, area, address, bytes, state } of inspectQueue(snapshot, queue, memory)?.parts ?? []) {
      if (state !== 'unsaved') continue;
      const presence = memory.probe(BigInt(address), BigInt(bytes));
      if (presence.state === 'saved') continue;
      const where = `${path}: queues[${queue.index}].${area}: the ${name} is ${bytes} bytes at ${address}`;
      throw new UnusableInput(`${where}; ${dump.missing(presence.at)}`);
    }
  }
}
