import { writeSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { ACCESS, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { DELIVERED, frameBytes, type NetBackend } from '@ringwire/net-backend';
import {
  comparedWrites,
  GuestPages,
  isVdpaRefusal,
  MigrationSource,
  MigrationTarget,
  VDPA,
  type VdpaDevice,
} from '@ringwire/vdpa';
import { ixgbeParent, vendorBParent } from '@ringwire/vdpa-vendors';
import { fileClaim } from './file-claim.js';
import { GUEST_BYTES, GUEST_GPA, NUMBER_AT, RamGuest } from './ram-guest.js';

// One side of a move, in a process of its own: a card of a vendor's, a connection, and the guest, as long as it is here. Every frame
// is a line, written before the device has used its buffer.
const [side, vendor, path, claimed] = process.argv.slice(2) as ['source' | 'target', string, string, string];
const HOST_BYTES = 0x80_0000;
/** Pages of a turn: few, so that a move takes a while. */
const PAGES = 4;
/** Frames that a guest which is where it stays sends before its program ends. */
const FRAMES_MORE = 200;

const say = (line: string): void => void writeSync(1, `${line}\n`);
const wire: NetBackend = {
  offloads: 0,
  attach: () => {},
  pump: () => 0,
  receive(frame) {
    const bytes = frameBytes(frame);
    say(`frame ${new DataView(bytes.buffer, bytes.byteOffset).getUint32(NUMBER_AT, true)}`);
    return DELIVERED.ACCEPTED;
  },
};

const memory = HostMemory.create(HOST_BYTES + GUEST_BYTES);
const ram = new GuestPages(memory, [{ gpa: GUEST_GPA, size: GUEST_BYTES, host: HOST_BYTES }]);
const guest = new RamGuest(memory, HOST_BYTES);

function openDevice(): VdpaDevice {
  const host = { memory, pages: new PageAllocator(0, HOST_BYTES), now: () => performance.now() * 1000 };
  const parent = (vendor === '82599' ? ixgbeParent : vendorBParent)(host, {
    ...{ name: vendor, functions: 1, net: { holdWhenFull: true } },
    backend: () => wire,
  });
  const device = parent.add('guest', { mac: Uint8Array.of(2, 0, 0, 0, 0, 1) });
  if (isVdpaRefusal(device)) throw new Error(device.message);
  return device;
}

const device = openDevice();
let isHere = side === 'source';
const claim = fileClaim(claimed);

/** The guest runs here, with its device, until it goes or has sent so many frames more. */
async function live(during: () => boolean): Promise<void> {
  let until = Number.POSITIVE_INFINITY;
  while (guest.sent < until) {
    if (isHere) {
      guest.turn(device);
      device.step(8);
    }
    if (during() && until === Number.POSITIVE_INFINITY) {
      if (!isHere) break;
      until = guest.sent + FRAMES_MORE;
    }
    await yieldToEventLoop();
  }
}

async function leave(): Promise<void> {
  const mapping = { iova: GUEST_GPA, bytes: GUEST_BYTES, host: HOST_BYTES, access: ACCESS.READ | ACCESS.WRITE };
  if (device.map(0, mapping) !== VDPA.OK) throw new Error('the RAM cannot be mapped');
  guest.boot(device);
  const socket = connect(path);
  const source = new MigrationSource({
    ...{ device, ram, claim, places: () => guest.places, written: [comparedWrites(ram)] },
    send: (bytes) => void socket.write(bytes.slice()),
    pauseGuest: () => {
      isHere = false;
    },
    resumeGuest: () => {
      isHere = true;
    },
  });
  follow(socket, source);
  socket.on('connect', () => {
    say('ready');
    source.begin();
  });
  await live(() => {
    source.turn(PAGES);
    return source.isOver;
  });
  say(`end ${source.state} ${source.problem ?? ''}`);
}

async function receive(): Promise<void> {
  let target: MigrationTarget | undefined;
  const server = createServer((socket) => {
    target = new MigrationTarget({
      ...{ device, ram, claim, notifyDriver: () => {} },
      send: (bytes) => void socket.write(bytes.slice()),
      startGuest: () => {
        isHere = true;
      },
    });
    follow(socket, target);
  });
  server.listen(path, () => say('ready'));
  await live(() => target?.isOver === true);
  say(`end ${target!.state} ${target!.problem ?? ''}`);
}

/** What comes is the other side's; a connection that ends is one that was lost. */
function follow(socket: Socket, end: { receive(bytes: Uint8Array): void; lost(): void }): void {
  socket.on('data', (bytes) => end.receive(bytes));
  socket.on('error', () => {});
  socket.on('close', () => end.lost());
}

await (side === 'source' ? leave() : receive());
process.exit(0);
