import { LearningSwitch, type NetBackend } from '@ringwire/net-backend';
import { type InterfaceNames, LinuxMachine, NOWHERE } from 'v86-example/machine';
import { bootedState, machineFiles } from 'v86-example/parts';
import { arpRequest, isArpReply } from './arp.js';
import { SourcePort } from './frame-source.js';
import { PktgenSink, pktgenCommand, SinkPort } from './pktgen.js';
import type { V86Job, V86Round } from './v86-job.js';

/** Our card, and v86's own: the guest has both. */
const CARDS = ['ours', 'own'] as const;
export type Card = (typeof CARDS)[number];

/** A case that is set up: each card's turns, as often as wanted. */
export interface V86Case {
  round(card: Card): Promise<V86Round>;
  /** What was wrong with what went through; to be asked at the end. */
  problem(): Promise<string | null>;
  close(): Promise<void>;
}

/** Networks of our cards and of v86's own: their addresses begin so. */
const NETWORKS: Readonly<Record<Card, readonly [number, number, number]>> = { ours: [10, 0, 0], own: [10, 0, 1] };
const addressOf = (card: Card, last: number): number[] => [...NETWORKS[card], last];
/** A frame for the guest that its driver takes and nobody else wants: IEEE 802's type for experiments. */
const EXPERIMENT = [0x88, 0xb5];
/** Frames that come together, in each turn of the event loop. */
const BURST = 256;
const STRANGER = [2, 0, 0, 0, 0, 0x99];
const FILE = '/tmp/file';

/** v86's own way to and from its card: frames as arrays of bytes. */
interface OwnCard {
  register(event: 'net0-send', heard: (frame: Uint8Array) => void, self: object): void;
  send(event: 'net0-receive', frame: Uint8Array): void;
}
const ownCardOf = ({ emulator }: LinuxMachine): OwnCard => (emulator as unknown as { bus: OwnCard }).bus;
const nameOf = ({ msix, own }: InterfaceNames, card: Card): string => (card === 'ours' ? msix : own!);
const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView => new DataView(buffer, byteOffset, length);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export async function openCase({ plan, frames }: V86Job): Promise<V86Case> {
  if (plan.task === 'tcp') return await openTransfer(plan.bytes);
  return plan.task === 'tx' ? await openTransmit(plan.bytes, frames) : await openReceive(plan.bytes, frames);
}

/** A guest whose cards have addresses. @param last of them */
async function openGuest(port: NetBackend, last: number): Promise<{ machine: LinuxMachine; names: InterfaceNames }> {
  const mac = (kind: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, kind, last);
  const cards = { msix: { port, mac: mac(0) }, pin: { port: NOWHERE, mac: mac(1) }, hasOwnNic: true };
  const machine = await LinuxMachine.open(machineFiles(), { state: await bootedState(true) }, cards);
  const names = await machine.loadDrivers();
  for (const card of CARDS) {
    const name = nameOf(names, card);
    await machine.must(`ip address add ${addressOf(card, last).join('.')}/24 dev ${name}; ip link set ${name} up`);
  }
  return { machine, names };
}

/** pktgen in the guest: how many frames a second come out. */
async function openTransmit(bytes: number, frames: number): Promise<V86Case> {
  const sinks = { ours: new PktgenSink(), own: new PktgenSink() };
  const { machine, names } = await openGuest(new SinkPort(sinks.ours), 1);
  ownCardOf(machine).register('net0-send', (frame) => sinks.own.take(viewOf(frame), frame.length), {});
  return {
    round: async (card) => {
      const sink = sinks[card];
      const whole = sink.next(frames);
      await machine.must(pktgenCommand(nameOf(names, card), frames, bytes, '02:00:00:00:00:99'));
      // pktgen ends behind its last frame: who waits on, waits for frames that are lost.
      const rate = await Promise.race([whole, afterTurns()]);
      return { rate: rate ?? Number.NaN, lost: frames - sink.count };
    },
    problem: async () => {
      const astray = sinks.ours.astray + sinks.own.astray;
      return astray === 0 ? null : `${astray} frames came out of their order`;
    },
    close: () => machine.close(),
  };
}

/** As long as lost frames are waited for. */
const afterTurns = (): Promise<undefined> => new Promise((resolve) => setTimeout(() => resolve(undefined), 2000));

/** A stream of frames into the guest: how many a second its driver takes off the ring, and how many found no buffer. */
async function openReceive(bytes: number, frames: number): Promise<V86Case> {
  // An answered question is behind all frames that were offered before it.
  const answers = { ours: 0, own: 0 };
  const hear = (card: Card, frame: DataView, length: number): void => {
    if (isArpReply(frame, length)) answers[card]++;
  };
  const source = new SourcePort(bytes, new SinkPort({ take: (frame, length) => hear('ours', frame, length) }));
  const { machine, names } = await openGuest(source, 1);
  const bus = ownCardOf(machine);
  bus.register('net0-send', (frame) => hear('own', viewOf(frame), frame.length), {});
  const received = async (card: Card): Promise<number> =>
    Number(await machine.must(`cat /sys/class/net/${nameOf(names, card)}/statistics/rx_packets`));
  const macs = { ours: await macOf(machine, names, 'ours'), own: await macOf(machine, names, 'own') };
  const offered = new Uint8Array(bytes);
  offered.set([...macs.own, ...STRANGER, ...EXPERIMENT]);
  source.begin(Uint8Array.of(...macs.ours, ...STRANGER, ...EXPERIMENT));
  const offer = {
    ours: (count: number): void => source.offer(count),
    own: (count: number): void => {
      for (let i = 0; i < count; i++) bus.send('net0-receive', offered);
    },
  };
  const ask = {
    ours: (frame: Uint8Array<ArrayBuffer>): void => source.insert(frame),
    own: (frame: Uint8Array<ArrayBuffer>): void => bus.send('net0-receive', frame),
  };
  return {
    round: async (card) => {
      const before = await received(card);
      const answered = answers[card];
      const since = performance.now();
      for (let left = frames; left > 0; left -= BURST) {
        offer[card](Math.min(BURST, left));
        await turn();
      }
      while (card === 'ours' && source.waiting > 0) await turn();
      const question = arpRequest(addressOf(card, 99), addressOf(card, 1));
      while (answers[card] === answered) {
        ask[card](question);
        await turn();
      }
      const usec = (performance.now() - since) * 1000;
      const came = (await received(card)) - before - (answers[card] - answered);
      return { rate: came / usec, lost: frames - came };
    },
    problem: async () => (source.refused === 0 ? null : `our card refused ${source.refused} frames`),
    close: () => machine.close(),
  };
}

async function macOf(machine: LinuxMachine, names: InterfaceNames, card: Card): Promise<number[]> {
  const text = await machine.must(`cat /sys/class/net/${nameOf(names, card)}/address`);
  return text
    .trim()
    .split(':')
    .map((byte) => Number.parseInt(byte, 16));
}

/** A file over HTTP, from one guest to another: ours are on a switch, v86's own hear each other. */
async function openTransfer(bytes: number): Promise<V86Case> {
  const { ports } = new LearningSwitch(2);
  const guests = [await openGuest(ports[0]!, 1), await openGuest(ports[1]!, 2)] as const;
  const [to, from] = guests.map(({ machine }) => machine) as [LinuxMachine, LinuxMachine];
  for (const [one, other] of [
    [to, from],
    [from, to],
  ] as const) {
    const there = ownCardOf(other);
    ownCardOf(one).register('net0-send', (frame) => there.send('net0-receive', frame), {});
  }
  await from.must(`httpd -p 8000 -h /tmp; dd if=/dev/urandom of=${FILE} bs=1k count=${bytes >> 10} 2>/dev/null`);
  const sum = async (text: Promise<string>): Promise<string> => (await text).trim().split(' ')[0]!;
  const urlOf = (card: Card): string => `http://${addressOf(card, 2).join('.')}:8000/file`;
  return {
    round: async (card) => {
      const since = performance.now();
      await to.must(`wget -q -O /dev/null ${urlOf(card)}`);
      return { rate: bytes / ((performance.now() - since) * 1000), lost: 0 };
    },
    problem: async () => {
      const wanted = await sum(from.must(`md5sum < ${FILE}`));
      for (const card of CARDS) {
        const got = await sum(to.must(`wget -q -O - ${urlOf(card)} | md5sum`));
        if (got !== wanted) return `${card}: ${wanted} became ${got}`;
      }
      return null;
    },
    close: async () => {
      for (const { machine } of guests) await machine.close();
    },
  };
}
