import { crc32 } from '@ringwire/guest-memory';
import { DEVICE_STATUS, featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { simParent } from '../sim-parent.js';
import { VdpaStage } from '../testing/vdpa-stage.js';
import type { VdpaDevice } from '../vdpa-device.js';
import { isVdpaRefusal } from '../vdpa-parent.js';
import { GuestPages } from './guest-pages.js';
import { sharedClaim } from './handover-claim.js';
import { MigrationSource } from './migration-source.js';
import { MigrationTarget } from './migration-target.js';
import { MAPPING, MOVE, PAGES, RECORD, RECORD_TYPE } from './record-layout.js';
import { RecordWriter } from './record-stream.js';

const T = RECORD_TYPE;
const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;
const stage = new VdpaStage();
const { memory, host } = stage;
const GPA = 0x10_0000;
const PAGES_EACH = 3;
const BYTES = PAGES_EACH * 4096;
const [from, to] = [0, 1].map(() => stage.processPages.allocate(BYTES)) as [number, number];
/** Bytes behind the target's RAM: nothing that arrives may touch them. */
const guard = stage.processPages.allocate(4096);
const source = simParent(host);
const target = simParent(host);

const ramAt = (at: number): GuestPages => new GuestPages(memory, [{ gpa: GPA, size: BYTES, host: at }]);
const claim = () => sharedClaim(new Int32Array(new SharedArrayBuffer(4)));

function deviceOf(parent: typeof source): VdpaDevice {
  const device = parent.add('one', {});
  if (isVdpaRefusal(device)) throw new Error(device.message);
  return device;
}

/** A device with one queue of 8 in the guest's first page, started. */
function started(device: VdpaDevice): VdpaDevice {
  memory.engine.fill(from, 0, BYTES);
  memory.u8[from + 4096] = 0x77;
  device.map(0, { iova: GPA, bytes: BYTES, host: from, access: 3 });
  device.setStatus(ACKNOWLEDGE | DRIVER);
  device.setDriverFeatures(featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM]));
  device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
  for (const { index, size, addresses } of PLACES) {
    device.setQueueSize(index, size);
    device.setQueueAddresses(index, addresses);
    device.setQueueReady(index, true);
  }
  device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
  return device;
}
const PLACES = [{ index: 1, size: 8, addresses: { desc: GPA, driver: GPA + 0x100, device: GPA + 0x200 } }];

/** All that a source sends, record by record. */
function recorded(): Uint8Array[] {
  const device = started(deviceOf(source));
  const records: Uint8Array[] = [];
  const accept = new RecordWriter();
  const mover = new MigrationSource({
    device,
    places: () => PLACES,
    ram: ramAt(from),
    send: (bytes) => records.push(bytes.slice()),
    claim: claim(),
  });
  mover.begin();
  mover.receive(accept.write(T.ACCEPT));
  for (let turn = 0; turn < 20 && mover.state !== 'waiting'; turn++) mover.turn();
  expect(mover.state).toBe('waiting');
  mover.receive(accept.write(T.STARTED));
  expect(mover.state).toBe('moved');
  source.remove(device);
  return records;
}
const RECORDS = recorded();
const joined = (records: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(records));
const STREAM = joined(RECORDS);

/** What becomes of a target that gets a stream, and then nothing more. */
function landed(
  stream: Uint8Array,
  piece = stream.length,
): { mover: MigrationTarget; device: VdpaDevice; close: () => void } {
  memory.u8.fill(0xee, guard, guard + 4096);
  const device = deviceOf(target);
  const mover = new MigrationTarget({
    device,
    ram: ramAt(to),
    send: () => {},
    claim: claim(),
    notifyDriver: () => {},
  });
  for (let at = 0; at < stream.length; at += piece) mover.receive(stream.slice(at, at + piece));
  mover.lost();
  expect(memory.u8.subarray(guard, guard + 4096).every((byte) => byte === 0xee)).toBe(true);
  return { mover, device, close: () => target.remove(device) };
}

/** Why a stream is not taken; the device is as after a reset then. */
function refused(stream: Uint8Array): string {
  const { mover, device, close } = landed(stream);
  const { state, problem } = mover;
  if (state === 'ended') expect([device.status, device.mappings(0)]).toEqual([0, []]);
  close();
  return state === 'runs' ? 'taken' : problem!;
}

/** A record with a checksum that fits. */
function sealed(record: Uint8Array): Uint8Array {
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  view.setUint32(RECORD.crc, 0, true);
  view.setUint32(RECORD.crc, crc32(record), true);
  return record;
}

/** The stream with one record changed, and its checksum right. */
function changed(type: number, change: (view: DataView) => void): Uint8Array {
  return joined(
    RECORDS.map((record) => {
      if (typeOf(record) !== type) return record;
      const copy = record.slice();
      change(new DataView(copy.buffer));
      return sealed(copy);
    }),
  );
}
const typeOf = (record: Uint8Array): number =>
  new DataView(record.buffer, record.byteOffset).getUint16(RECORD.type, true);
const C = RECORD.SIZE;

/** The stream with these records in place of one. */
function replaced(type: number, ...content: readonly Uint8Array[]): Uint8Array {
  const writer = new RecordWriter();
  return joined(
    RECORDS.flatMap((record) =>
      typeOf(record) === type
        ? content.map((one) => writer.write(type, one))
        : [writer.write(typeOf(record), record.subarray(C))],
    ),
  );
}

function mapping(iova: number, bytes: number, gpa = GPA, access = 3, space = 0): Uint8Array {
  const content = new Uint8Array(MAPPING.SIZE);
  const view = new DataView(content.buffer);
  view.setUint32(MAPPING.space, space, true);
  view.setUint32(MAPPING.access, access, true);
  for (const [at, value] of [
    [MAPPING.iova, iova],
    [MAPPING.bytes, bytes],
    [MAPPING.gpa, gpa],
  ] as const) {
    view.setUint32(at, value >>> 0, true);
    view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  }
  return content;
}

test('a stream in pieces of any size is taken, and memory, mappings and device are the source’s', () => {
  for (const piece of [1, 7, 4096, STREAM.length]) {
    const { mover, device, close } = landed(STREAM, piece);
    expect([mover.state, mover.problem, device.status]).toEqual(['runs', undefined, 15]);
    expect(device.mappings(0)).toEqual([{ iova: GPA, bytes: BYTES, host: to, access: 3 }]);
    expect(memory.u8[to + 4096]).toBe(0x77);
    close();
  }
  // The ring of the first page is written, as far as is known, when tracking begins: it comes once more.
  expect(RECORDS.map(typeOf)).toEqual([T.HELLO, T.ZEROS, T.PAGES, T.ZEROS, T.ZEROS, T.MAPPINGS, T.DEVICE, T.END]);
});

test('MG-01 a stream cut after any byte starts nothing', () => {
  // Of a run of bytes in the middle of a page one is as good as all.
  for (let bytes = 0; bytes < STREAM.length; bytes += bytes > 200 && bytes < STREAM.length - 700 ? 61 : 1)
    expect(refused(STREAM.slice(0, bytes)), `${bytes} bytes`).not.toBe('taken');
  expect(refused(STREAM)).toBe('taken');
});

test('MG-02 a flipped bit starts nothing; with a checksum that fits it is refused, or another possible state', () => {
  let at = 0;
  for (const record of RECORDS) {
    for (let bit = 0; bit < Math.min(record.length, 300) * 8; bit += 5) {
      const flipped = record.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const before = STREAM.slice(0, at);
      const after = STREAM.slice(at + record.length);
      if (bit % 4 === 0) expect(refused(joined([before, flipped, after])), `bit ${bit}`).not.toBe('taken');
      expect(refused(joined([before, sealed(flipped), after]))).toBeTypeOf('string');
    }
    at += record.length;
  }
});

test('MG-03, MG-20 wrong magic, version or byte order, and another device type, are refused by name', () => {
  expect(refused(changed(T.HELLO, (view) => view.setUint32(C, 1, true)))).toContain('magic is 0x1');
  expect(refused(changed(T.HELLO, (view) => view.setUint16(C + 4, 0x3412, true)))).toContain(
    'byte order mark is 0x3412',
  );
  expect(refused(changed(T.HELLO, (view) => view.setUint16(C + 6, 2, true)))).toBe('the version is 2.0, want 1.0');
  expect(refused(changed(T.HELLO, (view) => view.setUint16(C + 8, 1, true)))).toBe('the version is 1.1, want 1.0');
  expect(refused(changed(T.HELLO, (view) => view.setUint32(C + 12, 2, true)))).toContain('the device type is 2');
  expect(MOVE.MAJOR).toBe(1);
});

test('MG-04 lengths beyond any record, or beyond what follows, are refused, and nothing of that size is made', () => {
  for (const bytes of [0xffff_ffff, 0x8000_0000, RECORD.BYTES_MAX + 1])
    expect(refused(changed(T.PAGES, (view) => view.setUint32(RECORD.bytes, bytes, true)))).toContain('want at most');
  expect(refused(changed(T.PAGES, (view) => view.setUint32(C + PAGES.count, 0xffff_ffff, true)))).toContain(
    '4294967295 pages',
  );
  expect(refused(changed(T.ZEROS, (view) => view.setUint32(C + PAGES.count, 0xffff_ffff, true)))).toContain(
    'not of the guest’s RAM',
  );
  for (const at of [36, 40])
    expect(refused(changed(T.HELLO, (view) => view.setUint32(C + at, 0xffff_ffff, true)))).toContain('want at most');
});

test('MG-05 records twice, missing, in another order or unknown are refused', () => {
  const again = (order: readonly number[]): string => {
    const writer = new RecordWriter();
    return refused(
      joined(
        order.map((type) => {
          const record = RECORDS.find((one) => typeOf(one) === type);
          return writer.write(type, record?.subarray(C) ?? new Uint8Array(0));
        }),
      ),
    );
  };
  const { HELLO, ZEROS, PAGES: DATA, MAPPINGS, DEVICE, END } = T;
  expect(again([HELLO, ZEROS, DATA, MAPPINGS, DEVICE, END])).toBe('taken');
  expect(again([ZEROS, HELLO])).toContain('comes before HELLO');
  expect(again([HELLO, HELLO])).toContain('in the middle of a move');
  expect(again([HELLO, MAPPINGS, DATA])).toContain('follows MAPPINGS');
  expect(again([HELLO, MAPPINGS, DEVICE, DEVICE])).toContain('follows DEVICE');
  expect(again([HELLO, MAPPINGS, DEVICE, MAPPINGS])).toContain('follows DEVICE');
  expect(again([HELLO, MAPPINGS, END])).toContain('in the middle of a move');
  expect(again([HELLO, DEVICE, END])).toContain('starting queue 1 ends with INVALID');
  expect(again([HELLO, T.STARTED])).toContain('in the middle of a move');
  expect(refused(changed(T.PAGES, (view) => view.setUint16(RECORD.type, 99, true)))).toContain('has type 99');
  // A record that is left out, or comes again, shows in the numbers.
  expect(refused(joined(RECORDS.filter((_, at) => at !== 2)))).toContain('record 3 follows where 2 should');
  expect(refused(joined([...RECORDS.slice(0, 3), ...RECORDS.slice(2)]))).toContain('record 2 follows where 3 should');
});

test('pages that are not of the guest’s RAM, or RAM of another layout, are refused and nothing is written', () => {
  for (const gpa of [0, GPA - 4096, GPA + BYTES, GPA + 1, 2 ** 52])
    expect(
      refused(
        changed(T.PAGES, (view) => {
          view.setUint32(C + PAGES.gpa, gpa >>> 0, true);
          view.setUint32(C + PAGES.gpa + 4, Math.floor(gpa / 2 ** 32), true);
        }),
      ),
    ).toContain('not of the guest’s RAM');
  expect(refused(changed(T.HELLO, (view) => view.setUint32(C + 44 + 8, BYTES + 4096, true)))).toContain(
    'the RAM is 16384',
  );
});

test('MG-16 mappings that overlap, wrap, lead out of RAM or are too many are refused', () => {
  const refusal = (...mappings: readonly Uint8Array[]): string => refused(replaced(T.MAPPINGS, joined(mappings)));
  expect(refusal(mapping(GPA, BYTES), mapping(GPA + 4096, 4096))).toContain('address space 0 end with EXISTS');
  expect(refusal(mapping(2 ** 53 - 4096, 4096 * 2))).toContain('want below 2^53');
  expect(refusal(mapping(2 ** 63, 4096))).toContain('want below 2^53');
  expect(refusal(mapping(GPA, 0))).toContain('0 bytes');
  expect(refusal(mapping(GPA, BYTES + 4096))).toContain('where it has none');
  expect(refusal(mapping(GPA, 4096, 0))).toContain('where it has none');
  expect(refusal(mapping(GPA, BYTES, GPA, 0))).toContain('access 0');
  expect(refusal(mapping(GPA, BYTES, GPA, 4))).toContain('access 4');
  expect(refusal(mapping(GPA, BYTES), mapping(GPA, BYTES, GPA, 3, 9))).toContain('address space 9');
  expect(refused(replaced(T.MAPPINGS, mapping(GPA, BYTES).subarray(0, 31)))).toContain('multiple of 32');
  expect(refused(replaced(T.MAPPINGS, new Uint8Array(0)))).toContain('has none');
  // As many as a record holds, over and over.
  const many = joined(Array.from({ length: 0x1_0000 }, (_, at) => mapping(0x1_0000_0000 + at * 4096, 4096)));
  expect(refused(replaced(T.MAPPINGS, many))).toContain('want at most 65535');
  expect(refused(replaced(T.MAPPINGS, many, many, many))).toContain('more than 131072');
});

test('MG-18 a log that is smaller than the RAM is refused, and pages beyond it are nobody’s', async () => {
  const { DirtyLog } = await import('@ringwire/iommu');
  const { loggedWrites } = await import('./written-sources.js');
  const ram = ramAt(from);
  const base = host.pages.allocate(4096);
  memory.engine.fill(base, 0, 4096);
  const log = new DirtyLog({ memory, base, bytes: 64, regions: ram.regions });
  // 259 pages from address 0 on: 33 bytes.
  expect(() => loggedWrites(log, 32, ram)).toThrow('bytes is 32, want 33 at least');
  const written = loggedWrites(log, 64, ram);
  memory.u8.fill(0xff, base, base + 64);
  expect(written()).toEqual([0, 1, 2].map((page) => ({ host: from + page * 4096, bytes: 4096 })));
  expect(written()).toEqual([]);
  host.pages.free(base);
});

test('a target that says what no target says leaves the guest where it is', () => {
  for (const answer of [
    new RecordWriter().write(T.STARTED),
    new RecordWriter().write(T.HELLO, new Uint8Array(8)),
    new RecordWriter().write(T.REFUSE, Uint8Array.of(0x41, 0, 7, 0, 0x42)),
    Uint8Array.of(...new Array<number>(40).fill(0xff)),
    sealed(Object.assign(new RecordWriter().write(T.ACCEPT), { 4: 9 })),
  ]) {
    const device = started(deviceOf(source));
    const mover = new MigrationSource({
      device,
      places: () => PLACES,
      ram: ramAt(from),
      send: () => {},
      claim: claim(),
    });
    mover.begin();
    mover.receive(answer);
    mover.turn();
    expect([mover.state, device.status, device.isSuspended]).toEqual(['stayed', 15, false]);
    expect(mover.problem).toMatch(/^the target/);
    source.remove(device);
  }
});

test('a stream loaded into a device that is in use is refused, and the device goes on', () => {
  const device = started(deviceOf(target));
  const mover = new MigrationTarget({ device, ram: ramAt(to), send: () => {}, claim: claim(), notifyDriver: () => {} });
  mover.receive(STREAM);
  expect([mover.state, mover.problem]).toEqual(['ended', expect.stringContaining('want one after a reset')]);
  expect(device.status).toBe(15);
  target.remove(device);
});
