import { join } from 'node:path';
import type { GuestImage } from './guest-image.js';
import { LinuxGuest } from './linux-guest.js';
import { Ringwire } from './ringwire.js';

export interface PairOptions {
  readonly directory: string;
  readonly image: GuestImage;
  /** Of both guests' devices. */
  readonly properties: string;
  readonly queuePairs?: number;
  /** More options of `ringwire serve`. */
  readonly serve?: readonly string[];
  /** More arguments of QEMU's, such as other devices. */
  readonly more?: readonly string[];
  /** QEMU makes the sockets, and `ringwire serve` connects to them. */
  readonly connects?: boolean;
}

/** Two Linux guests with a network card each, on the switch of one `ringwire serve`. */
export class LinuxPair {
  /** Addresses of their `eth0`, in a network of 24 bits. */
  static readonly ADDRESSES: readonly [string, string] = ['10.0.0.1', '10.0.0.2'];
  readonly sockets: readonly [string, string];
  ringwire: Ringwire;
  readonly guests: [LinuxGuest, LinuxGuest];
  private readonly options: PairOptions;

  private constructor(sockets: readonly [string, string], ringwire: Ringwire, options: PairOptions) {
    this.sockets = sockets;
    this.ringwire = ringwire;
    this.options = options;
    this.guests = [this.guest(0), this.guest(1)];
  }

  /** Serve, boot both, and give them their addresses. */
  static async boot(options: PairOptions): Promise<LinuxPair> {
    const path = (name: string): string => join(options.directory, `${name}.sock`);
    const sockets = [path('a'), path('b')] as const;
    const pair = new LinuxPair(sockets, await LinuxPair.serve(sockets, options), options);
    try {
      for (const at of [0, 1] as const) await pair.configure(at);
    } catch (error) {
      await pair.close();
      throw error;
    }
    return pair;
  }

  /** A sender waits for a receiver without buffers: nothing is lost. */
  private static serve(
    sockets: readonly string[],
    { queuePairs = 1, connects = false, serve = [] }: PairOptions,
  ): Promise<Ringwire> {
    const role = connects ? ['--connect'] : [];
    return Ringwire.serve(sockets, '--hold', '--json', '--queues', `${queuePairs}`, ...role, ...serve);
  }

  private guest(at: 0 | 1): LinuxGuest {
    const { directory, image, properties, queuePairs = 1, connects = false, more = [] } = this.options;
    const nic = {
      socket: this.sockets[at],
      mac: `02:00:00:00:01:0${at + 1}`,
      properties,
      queuePairs,
      listens: connects,
    };
    return new LinuxGuest({ name: `guest${at}`, directory, image, nics: [nic], processors: queuePairs, more });
  }

  /** After its boot: an address, and what is in its /tmp over HTTP. */
  async configure(at: 0 | 1): Promise<void> {
    const guest = this.guests[at];
    await guest.booted();
    await guest.run(`ip address add ${LinuxPair.ADDRESSES[at]}/24 dev eth0 && ip link set eth0 up && httpd -h /tmp`);
  }

  /** End the back-end and start it again: QEMU connects to the same sockets by itself. */
  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.ringwire.kill(signal);
    this.ringwire = await LinuxPair.serve(this.sockets, this.options);
  }

  /** End a guest's QEMU at once, and boot another one in its place. */
  async exchange(at: 0 | 1): Promise<void> {
    await this.guests[at].kill();
    this.guests[at] = this.guest(at);
    await this.configure(at);
  }

  async close(): Promise<void> {
    for (const guest of this.guests) await guest.kill();
    await this.ringwire.kill();
  }
}
