import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bootedState, guestPartsProblem } from '../../examples/v86/src/guest-parts.js';
import type { LinuxMachine } from '../../examples/v86/src/linux-machine.js';
import { runMachines } from '../../examples/v86/src/run-machines.js';
import { mac, NETWORKS, openStation, V86Network } from './v86-network.js';

const PATIENCE_MS = 400_000;
const problem = guestPartsProblem();
const SUITE = `Linux in v86${problem === undefined ? '' : `: skipped, because ${problem}`}`;
const KINDS = ['msix', 'pin'] as const;
const MEGABYTES = 10;
const PKTGEN_FRAMES = 50_000;

describe.skipIf(problem !== undefined)(SUITE, { timeout: PATIENCE_MS }, () => {
  const network = new V86Network();
  const machine = (index: number): LinuxMachine => network.machines[index]!;
  let state: ArrayBuffer;

  beforeAll(async () => {
    state = await bootedState();
    for (const index of [0, 1]) await network.start(index, state);
  }, PATIENCE_MS);

  afterAll(() => network.close());

  const digest = async (index: number, file: string): Promise<string> =>
    (await machine(index).must(`md5sum < ${file}`)).trim();

  test('Debian’s virtio_net drives both cards: one by messages, the other by its interrupt pin', async () => {
    const interrupts = await machine(0).must('cat /proc/interrupts');
    expect(interrupts).toMatch(/PCI-MSI .*virtio0-input\.0$/m);
    expect(interrupts).toMatch(/IO-APIC .*virtio1$/m);
    for (const kind of KINDS) {
      const address = await machine(1).must(`cat /sys/class/net/${network.names[1]![kind]}/address`);
      expect(address.trim()).toBe(kind === 'msix' ? '02:00:00:00:00:02' : '02:00:00:00:00:12');
    }
  });

  test.each(KINDS)('%s: machines ping each other', async (kind) => {
    expect(await machine(0).must(`ping -c 5 -i 0.1 ${NETWORKS[kind]}.2`)).toContain('5 packets received');
  });

  test('a machine pings one of our own drivers, and is pinged by it', async () => {
    const { guest, close } = openStation(network.switches.msix.ports[2]!, 9);
    expect(await machine(0).must(`ping -c 5 -i 0.1 ${NETWORKS.msix}.9`)).toContain('5 packets received');
    expect(guest.counters.answered).toBe(5);
    guest.inFlight = 4;
    while (guest.counters.replies < 20) await new Promise((resolve) => setTimeout(resolve, 20));
    guest.inFlight = 0;
    close();
  });

  test.each(KINDS)(`%s: ${MEGABYTES} MB over TCP arrive as they were`, async (kind) => {
    await machine(1).must(`dd if=/dev/urandom of=/tmp/file bs=1M count=${MEGABYTES} 2>/dev/null`);
    await machine(0).must(`wget -q -O /tmp/got http://${NETWORKS[kind]}.2:8000/file`);
    expect(await digest(0, '/tmp/got')).toBe(await digest(1, '/tmp/file'));
  });

  test.each(KINDS)(`%s: ${PKTGEN_FRAMES} frames of pktgen leave, and the machine goes on`, async (kind) => {
    const { [kind]: name } = network.names[0]!;
    const { counters } = network.switches[kind].ports[0]!;
    const before = counters.forwarded + counters.lost;
    const to = [...mac(kind === 'msix' ? 2 : 0x12)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
    const settings = [`count ${PKTGEN_FRAMES}`, 'pkt_size 1400', 'delay 0', `dst ${NETWORKS[kind]}.2`, `dst_mac ${to}`];
    await machine(0).must(
      [
        'cd /proc/net/pktgen; echo rem_device_all > kpktgend_0',
        `echo add_device ${name} > kpktgend_0`,
        ...settings.map((setting) => `echo ${setting} > ${name}`),
        'echo start > pgctrl',
      ].join('; '),
    );
    const result = await machine(0).must(`cat /proc/net/pktgen/${name}; cd /`);
    expect(result).toContain(`pkts-sofar: ${PKTGEN_FRAMES}  errors: 0`);
    expect(counters.forwarded + counters.lost - before).toBeGreaterThanOrEqual(PKTGEN_FRAMES);
    expect(await machine(0).must(`ping -c 2 -i 0.1 ${NETWORKS[kind]}.2`)).toContain('2 packets received');
  });

  test('machines that are saved in the middle of a transfer and restored elsewhere lose nothing of it', async () => {
    const sum = await digest(1, '/tmp/file');
    const { counters } = network.switches.msix.ports[1]!;
    const before = counters.forwarded;
    void machine(0).run(`wget -q -O /tmp/again http://${NETWORKS.msix}.2:8000/file; md5sum < /tmp/again`);
    while (counters.forwarded < before + 50) await new Promise((resolve) => setImmediate(resolve));
    await Promise.all(network.machines.map(({ emulator }) => emulator.stop()));
    const states = await Promise.all(network.machines.map((one) => one.save()));
    await network.close();
    for (const [index, state] of states.entries()) await network.open(index, state);
    const { text, code } = await machine(0).ended();
    expect([code, text.trim()]).toEqual([0, sum]);
    expect(counters.forwarded).toBeGreaterThan(before + 50);
    for (const kind of KINDS)
      expect(await machine(1).must(`ping -c 2 -i 0.1 ${NETWORKS[kind]}.1`)).toContain('2 packets received');
  });

  test('the example says what it is to say', async () => {
    const lines: string[] = [];
    expect(await runMachines(state, (line) => lines.push(line.replace(/\d+ filtered/, 'some filtered')))).toBe(true);
    expect(lines).toEqual([
      'machine 1: eth0 has 02:00:00:00:00:01',
      'machine 2: eth0 has 02:00:00:00:00:02',
      '5 packets transmitted, 5 packets received, 0% packet loss',
      '4 MB over TCP: as they were',
      'port 1: frames forwarded, some filtered',
      'port 2: frames forwarded, some filtered',
    ]);
  });
});
