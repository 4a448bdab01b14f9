import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ringwire } from './testing/command.js';
import { frameOf, ServedCard, Tunnel, until } from './testing/served-card.js';

const TSHARK = 'tshark';

let card: ServedCard;
let tunnel: Tunnel;

beforeEach(async () => {
  card = new ServedCard();
  tunnel = await Tunnel.open();
});

afterEach(async () => {
  await card.remove();
  tunnel.close();
});

const wire = async () => JSON.parse(await card.nic('wire', 'show', '--json'))[0];

/** Speed in Mbit/s and duplex that a front-end reads of a function: GET_CONFIG of bytes 12 to 16. */
async function shownTo(name: string): Promise<[speed: number, duplex: number, isUp: boolean]> {
  const socket = connect(card.at(name)).on('error', () => undefined);
  const answers: Buffer[] = [];
  socket.on('data', (bytes) => answers.push(bytes));
  // SET_PROTOCOL_FEATURES, version 1, 8 bytes: CONFIG, bit 9. Then GET_CONFIG: offset, size, flags, and as many bytes as are asked for.
  socket.write(Uint8Array.of(16, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0));
  socket.write(
    Uint8Array.of(24, 0, 0, 0, 1, 0, 0, 0, 29, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, ...Array(17).fill(0)),
  );
  await until(() => Buffer.concat(answers).length === 12 + 29);
  const config = Buffer.concat(answers).subarray(24);
  socket.destroy();
  return [config.readUInt32LE(12), config[16]!, (config.readUInt16LE(6) & 1) === 1];
}

test('a wire as the file says is shown as it is set and as it is, and set while it is served; guests see its speed', async () => {
  card.describe('wire: { speed: 25000, pause: rx, cable: 100 }');
  await card.serve('--uplink', tunnel.uplink);
  expect((await card.nic('wire', 'show')).split('\n')[0]).toBe('wire: link up, 25000Mb/s, full duplex, pause rx');
  // dev.net.config.10,.11
  expect(await shownTo('a.sock')).toEqual([25_000, 1, true]);
  await card.nic(
    'wire',
    'set',
    'speed',
    '100',
    'duplex',
    'half',
    'pause',
    'on',
    'highWater',
    '5000',
    'lowWater',
    '4000',
  );
  // With half duplex nobody sends PAUSE. IEEE 802.3 annex 31B.1
  expect(await wire()).toMatchObject({
    ...{ link: true, speed: 100, duplex: 'half', pause: 'off' },
    set: { speed: 100, duplex: 'half', pause: 'on', highWater: 5000, lowWater: 4000, pauseTime: 65_535 },
  });
  expect(await shownTo('a.sock')).toEqual([100, 0, true]);
  // A rate of its own is what it is shown from the next time on that its link comes up.
  await card.nic('set', '', 'vf', '1', 'max_tx_rate', '10');
  await card.nic('set', '', 'vf', '1', 'state', 'disable');
  await card.nic('set', '', 'vf', '1', 'state', 'auto');
  expect(await shownTo('b.sock')).toEqual([10, 0, true]);
});

test('F44: what no wire can be is refused with the reason, and the wire is as before', async () => {
  card.describe();
  await card.serve();
  const before = await wire();
  expect(before).toMatchObject({ link: false, speed: 10_000, set: { speed: 10_000 } });
  for (const [words, reason] of [
    ['speed 0', 'speed is 0, want an integer from 1 to 800000'],
    ['speed 10000 duplex half', "duplex is half, want 'full' above 1000 Mbit/s"],
    ['highWater 10 lowWater 10', 'lowWater is 10'],
    ['pause both', 'wire: pause: '],
    ['speed ten', 'Want a number, not ten.'],
    ['cable 3', 'No setting is called cable. Want speed, duplex,'],
  ] as const)
    await expect(card.nic('wire', 'set', ...words.split(' '))).rejects.toThrow(reason);
  expect(await wire()).toEqual(before);
  const refused = async (...lines: string[]): Promise<string> => {
    card.describe(...lines);
    const { code, err } = await ringwire('serve', '--nic', card.file);
    expect(code).toBe(2);
    return err;
  };
  expect(await refused('wire: { speed: 100000, cable: 3000 }')).toContain(
    'cable is 3000, want 0 to 2097 m at 100000 Mbit/s',
  );
  expect(await refused('wire: { duplex: half }')).toContain('duplex is half');
  expect(await refused('wire: { mtu: 3 }')).toContain('wire: ');
  expect(await refused(`wire: { capture: ${card.at('none/x')} }`)).toContain('none/x cannot be written: ENOENT');
});

test('annex 31B: a PAUSE that comes is counted, and heeded or not as the wire is set', async () => {
  card.describe('wire: { pause: rx }');
  await card.serve('--uplink', tunnel.uplink);
  const pause = frameOf('0180c2000001', '020000000009', '88080001ffff');
  tunnel.send(pause);
  const { pauses } = await counted((found) => found.pauses.rx.pause === 1);
  expect(pauses.rx).toEqual({ pause: 1, resume: 0, ignored: 0 });
  await card.nic('wire', 'set', 'pause', 'off');
  tunnel.send(pause);
  expect((await counted((found) => found.pauses.rx.pause === 2)).pauses.rx.ignored).toBe(1);
  expect((await card.nic('wire', 'show')).split('\n')[3]).toBe(
    '    PAUSE, to go on: RX: 2, 0 (not heeded: 1)  TX: 0, 0',
  );
});

async function counted(holds: (shown: Awaited<ReturnType<typeof wire>>) => boolean) {
  for (;;) {
    const shown = await wire();
    if (holds(shown)) return shown;
  }
}

test('a capture has all that passes the wire, and tshark reads it while it is served', async ({ skip }) => {
  const capture = card.at('wire.pcapng');
  const fields = ['frame.interface_name', 'frame.packet_flags_direction', 'eth.src', 'frame.len'];
  const read = (): string =>
    spawnSync(TSHARK, ['-r', capture, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])], {
      encoding: 'utf8',
    }).stdout ?? '';
  if (spawnSync(TSHARK, ['-v']).error !== undefined) return skip('skipped, because tshark is not installed');
  card.describe(`wire: { capture: ${capture} }`);
  await card.serve('--uplink', tunnel.uplink);
  const before = Date.now() / 1000;
  tunnel.send(frameOf('ffffffffffff', '020000000009'));
  const row = 'wire\t0x00000001\t02:00:00:00:00:09\t60\n';
  await until(() => read() === row);
  const time = Number(
    spawnSync(TSHARK, ['-r', capture, '-T', 'fields', '-e', 'frame.time_epoch'], { encoding: 'utf8' }).stdout,
  );
  // The clock that never goes back may have drifted from the time of day.
  expect(Math.abs(time - before)).toBeLessThan(3600);
  expect(await card.end()).toBe(0);
  expect(read()).toBe(row);
});
