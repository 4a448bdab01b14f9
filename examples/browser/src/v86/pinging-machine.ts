import type { NetBackend } from '@ringwire/net-backend';
import { RX_STAT, TX_STAT } from '@ringwire/virtio-device';
import { LinuxMachine, type MachineFiles, NOWHERE } from 'v86-example/machine';

/** What a machine is opened with: plain data, so that it can be posted to a worker. */
export interface MachineOrder {
  readonly files: MachineFiles;
  /** Of a machine that has booted. */
  readonly state: ArrayBuffer;
  /** 0 or 1. */
  readonly index: number;
}

/** What is shown of a machine. */
export interface MachineView {
  /** What it does, in a few words. */
  readonly doing: string;
  readonly interfaceName: string;
  /** Of `ping`: requests sent, replies that came, and the last round trip in ms of the guest's clock. */
  readonly pings: number;
  readonly replies: number;
  readonly roundTrip: number;
  /** Frames that the card took from the driver, and brought to it. */
  readonly sent: number;
  readonly received: number;
  readonly interrupts: number;
  /** The guest's words, the last lines of them. */
  readonly lines: readonly string[];
}

/** Of a run of ping, so that counts come together and interrupts are looked at now and then. */
const PINGS = 50;
const SECONDS_BETWEEN = 0.05;
const LINES = 6;
const WAIT_MS = 100;
/** What busybox's ping says of a reply, and at its end. */
const REPLY = /bytes from .* seq=(\d+) .* time=([\d.]+) ms/g;
const SUMMARY = /(\d+) packets transmitted, (\d+) packets received/;

/** Addresses of a machine's card. @param index 0 or 1 */
export const macOf = (index: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, index + 1);
export const ipOf = (index: number): string => `10.0.0.${index + 1}`;

/** A Linux machine in v86 that pings the other one for as long as it is told to. */
export class PingingMachine {
  isPaused = false;
  private readonly machine: LinuxMachine;
  private readonly index: number;
  private doing = 'loads its drivers';
  private interfaceName = '–';
  private interrupts = 0;
  /** Of runs of ping that are over. */
  private pings = 0;
  private replies = 0;
  private roundTrip = 0;
  private lines: readonly string[] = [];
  private isPinging = false;

  private constructor(machine: LinuxMachine, index: number) {
    this.machine = machine;
    this.index = index;
  }

  static async open({ files, state, index }: MachineOrder, port: NetBackend): Promise<PingingMachine> {
    const pinMac = Uint8Array.of(2, 0, 0, 0, 1, index + 1);
    const cards = { msix: { port, mac: macOf(index) }, pin: { port: NOWHERE, mac: pinMac } };
    return new PingingMachine(await LinuxMachine.open(files, { state }, cards), index);
  }

  /** A port has frames from another thread. */
  wake(): void {
    this.machine.cards.wake();
  }

  /** Load drivers, take an address, and ping. It ends only with the machine. @throws Error when a command fails */
  async run(): Promise<never> {
    const { machine, index } = this;
    const { msix } = await machine.loadDrivers();
    this.interfaceName = msix;
    await machine.must(`ip address add ${ipOf(index)}/24 dev ${msix}; ip link set ${msix} up`);
    this.doing = `waits for ${ipOf(1 - index)}`;
    await machine.must(`until ping -c 1 -W 1 ${ipOf(1 - index)}; do :; done`);
    for (;;) {
      if (this.isPaused) {
        this.doing = 'waits';
        await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
        continue;
      }
      this.doing = `pings ${ipOf(1 - index)}`;
      this.isPinging = true;
      const { text } = await machine.run(`ping -i ${SECONDS_BETWEEN} -c ${PINGS} ${ipOf(1 - index)}`);
      this.isPinging = false;
      this.note(text);
      this.interrupts = interruptsIn(await machine.must('cat /proc/interrupts'));
    }
  }

  view(): MachineView {
    const { device } = this.machine.cards.nics[0]!.nic;
    const now = this.isPinging ? this.machine.said : '';
    const replies = [...now.matchAll(REPLY)];
    const [, last, time] = replies.at(-1) ?? [];
    return {
      doing: this.doing,
      interfaceName: this.interfaceName,
      pings: this.pings + (last === undefined ? 0 : Number(last) + 1),
      replies: this.replies + replies.length,
      roundTrip: time === undefined ? this.roundTrip : Number(time),
      sent: device.statistics(1)!.get(TX_STAT.tx_packets),
      received: device.statistics(0)!.get(RX_STAT.rx_packets),
      interrupts: this.interrupts,
      lines: now === '' ? this.lines : linesOf(now),
    };
  }

  close(): Promise<void> {
    return this.machine.close();
  }

  /** A run of ping is over. */
  private note(text: string): void {
    const [, sent, came] = SUMMARY.exec(text) ?? [];
    this.pings += Number(sent ?? 0);
    this.replies += Number(came ?? 0);
    this.roundTrip = Number([...text.matchAll(REPLY)].at(-1)?.[2] ?? this.roundTrip);
    this.lines = linesOf(text);
  }
}

const linesOf = (text: string): string[] => text.split('\n').filter(Boolean).slice(-LINES);

/** Interrupts of the first card's queues, as Linux counts them. */
function interruptsIn(text: string): number {
  const rows = text.split('\n').filter((row) => row.includes('virtio0-'));
  return rows.reduce((sum, row) => sum + Number(row.trim().split(/\s+/)[1]), 0);
}
