import { VirtioError } from '@ringwire/virtio-spec';
import { announceFrame } from './announce-frame.js';
import type { EthernetDriver, EthernetEvents } from './ethernet-driver.js';
import { EventGuard } from './event-guard.js';
import { SENT } from './net-tx-queue.js';

/** A member's place: the one to be used, or the one that stands by for it. */
export type TeamRole = 'primary' | 'standby';

/** A frame that came in, good during the call. */
export type TeamFrame = Parameters<EthernetEvents['frame']>[0];

/** What a team tells its user. */
export interface TeamEvents {
  frame(frame: TeamFrame, from: TeamRole): void;
  /** There is room to send again, after FULL. */
  writable?(): void;
  /** Frames go out by another member now, or by none. */
  switched?(to: TeamRole | undefined): void;
  /** A member's driver is closed: its device may be unplugged. */
  left?(role: TeamRole): void;
}

/** What a team has counted. */
export interface TeamCounters {
  /** Times that frames began to go out by another member. */
  switches: number;
  sent: { primary: number; standby: number };
  received: { primary: number; standby: number };
  /** The team's own frames, which a switch sent back by the other member: nobody gets them. */
  reflected: number;
  /** Frames that a member had taken when it was given up: any of them may be lost, and none is sent again. */
  abandoned: number;
  /** Drivers that were not let in. */
  refused: number;
}

const MAC_BYTES = 6;
const TEAM_EVENTS = { frame: true, writable: true, switched: true, left: true } as const;

/**
 * Two network drivers that are one to their user, as Linux's net_failover has them: a primary, which is a virtual function of
 * any vendor, and a virtio device that stands by for it (VIRTIO_NET_F_STANDBY), with the same address. Frames go out by the
 * primary while it runs and its link is up, else by the one that stands by, and come in by both. When they begin to go out
 * by another one, switches are told with a frame from there, so that what is for the station comes there too.
 *
 * A handler of the user's, or a member's driver, that throws stops nothing midway: what it threw comes out when the team has done
 * what it was called for, for both members.
 *
 * A driver is opened with {@link eventsFor} its role, and then joins. The user interrupts, polls and watches drivers as ever,
 * or the team as a whole, and calls {@link look} where only drivers were. @see virtio 1.4 §5.1.3
 */
export class NetTeam implements Omit<EthernetDriver, 'interrupt'> {
  readonly counters: TeamCounters = {
    switches: 0,
    sent: { primary: 0, standby: 0 },
    received: { primary: 0, standby: 0 },
    reflected: 0,
    abandoned: 0,
    refused: 0,
  };
  /** Handlers within members' methods throw as they do: that driver finishes, and lets it out. */
  private readonly events: TeamEvents;
  private readonly guard: EventGuard<TeamEvents>;
  private readonly members: { primary: EthernetDriver | undefined; standby: EthernetDriver | undefined } = {
    primary: undefined,
    standby: undefined,
  };
  private readonly leaving: { readonly role: TeamRole; readonly driver: EthernetDriver }[] = [];
  private readonly address = new Uint8Array(MAC_BYTES);
  private active: TeamRole | undefined = undefined;
  private isClosed = false;
  /** Switches have not been told where the station is. */
  private owesAnnouncement = false;

  constructor(events: TeamEvents) {
    this.events = events;
    this.guard = new EventGuard(events, TEAM_EVENTS);
  }

  /** Events for a driver that is to have a role. */
  eventsFor(role: TeamRole): EthernetEvents {
    return {
      frame: (frame) => this.receive(frame, role),
      writable: () => {
        if (role === this.active) this.events.writable?.();
      },
    };
  }

  /**
   * Take a driver in, which was opened with the role's events. One that is not let in stays its opener's: until it is closed,
   * the team tells of frames that come by it.
   * @returns why not, in a sentence: another address than the team's, or the place is taken
   */
  join(role: TeamRole, driver: EthernetDriver & { readonly isStandby?: boolean }): string | undefined {
    const problem = this.problem(role, driver);
    if (problem !== undefined) {
      this.counters.refused++;
      return problem;
    }
    this.address.set(driver.mac);
    this.members[role] = driver;
    this.look();
    return undefined;
  }

  /**
   * Let a member go, to be unplugged: frames go out by the other one from now on. Its driver is closed once all that it took is
   * sent, in {@link watch}, or once it does not run any more; `left` is told then.
   */
  leave(role: TeamRole): void {
    const driver = this.members[role];
    if (driver === undefined) return;
    this.members[role] = undefined;
    this.leaving.push({ role, driver });
    this.choose();
    this.watchLeaving();
    this.guard.rethrow();
  }

  /** A member's device is gone, without a word before: its driver is closed, and what it had taken may be lost. */
  drop(role: TeamRole): void {
    const driver = this.members[role];
    if (driver === undefined) return;
    this.members[role] = undefined;
    this.end(role, driver);
    this.choose();
    this.guard.rethrow();
  }

  /** By which member frames go out; undefined when none can. */
  get activeRole(): TeamRole | undefined {
    return this.active;
  }

  get state(): EthernetDriver['state'] {
    if (this.isClosed) return 'closed';
    return this.active === undefined ? 'broken' : 'running';
  }

  get mac(): Uint8Array {
    return this.address;
  }

  /** What fits through both members; Infinity while there is none. */
  get mtu(): number {
    const { primary, standby } = this.members;
    return Math.min(primary?.mtu ?? Number.POSITIVE_INFINITY, standby?.mtu ?? Number.POSITIVE_INFINITY);
  }

  get isLinkUp(): boolean {
    return this.active !== undefined;
  }

  get sending(): number {
    const { primary, standby } = this.members;
    const left = this.leaving.reduce((sum, { driver }) => sum + driver.sending, 0);
    return (primary?.sending ?? 0) + (standby?.sending ?? 0) + left;
  }

  get needsPoll(): boolean {
    const { primary, standby } = this.members;
    return (
      primary?.needsPoll === true || standby?.needsPoll === true || this.leaving.some(({ driver }) => driver.needsPoll)
    );
  }

  /** Do what interrupts of both members asked for. @param budget most frames of each */
  poll(budget?: number): number {
    let done = 0;
    this.ask((driver) => {
      done += driver.poll(budget);
    });
    this.look();
    return done;
  }

  /** Look after both members. */
  watch(): void {
    this.ask((driver) => driver.watch());
    this.endLeft();
    this.look();
  }

  /** Send a copy of a frame. @returns a `SENT` value: DOWN while no member can */
  sendBytes(frame: Uint8Array): number {
    this.look();
    const role = this.active;
    if (role === undefined) return SENT.DOWN;
    const outcome = this.members[role]!.sendBytes(frame);
    if (outcome === SENT.OK) this.counters.sent[role]++;
    return outcome;
  }

  /** Close both members, and those that were leaving. */
  close(): void {
    this.isClosed = true;
    const { primary, standby } = this.members;
    this.members.primary = undefined;
    this.members.standby = undefined;
    if (primary !== undefined) this.end('primary', primary);
    if (standby !== undefined) this.end('standby', standby);
    for (const { role, driver } of this.leaving.splice(0)) this.end(role, driver);
    this.look();
  }

  /** See by which member frames are to go out now. */
  look(): void {
    this.choose();
    this.guard.rethrow();
  }

  private choose(): void {
    const { primary, standby } = this.members;
    const next = isUsable(primary) ? 'primary' : isUsable(standby) ? 'standby' : undefined;
    const isOther = next !== this.active;
    if (!isOther && !this.owesAnnouncement) return;
    this.active = next;
    this.owesAnnouncement = next !== undefined;
    this.guard.attempt(() => {
      if (next !== undefined)
        this.owesAnnouncement = this.members[next]!.sendBytes(announceFrame(this.address)) !== SENT.OK;
    });
    if (!isOther) return;
    if (next !== undefined) this.counters.switches++;
    this.guard.events.switched?.(next);
    if (next !== undefined) this.guard.events.writable?.();
  }

  /** Have every driver of the team do something. */
  private ask(call: (driver: EthernetDriver) => void): void {
    const { primary, standby } = this.members;
    for (const driver of [primary, standby, ...this.leaving.map((member) => member.driver)])
      if (driver !== undefined) this.guard.attempt(() => call(driver));
  }

  private watchLeaving(): void {
    for (const { driver } of this.leaving.slice()) this.guard.attempt(() => driver.watch());
    this.endLeft();
  }

  /** Members that have sent all that they took. */
  private endLeft(): void {
    for (const member of this.leaving.slice()) {
      const { role, driver } = member;
      if (driver.sending > 0 && driver.state === 'running') continue;
      this.leaving.splice(this.leaving.indexOf(member), 1);
      this.end(role, driver);
      // Its last frames taught the switches that the station is there.
      this.owesAnnouncement = this.active !== undefined;
      this.choose();
    }
  }

  private end(role: TeamRole, driver: EthernetDriver): void {
    this.counters.abandoned += driver.sending;
    this.guard.attempt(() => driver.close());
    this.guard.events.left?.(role);
  }

  private problem(role: TeamRole, driver: EthernetDriver & { readonly isStandby?: boolean }): string | undefined {
    if (this.isClosed) return 'the team is closed';
    if (this.members[role] !== undefined) return `there is a ${role} already`;
    const { mac } = driver;
    if (mac.length !== MAC_BYTES) throw new VirtioError('mac.length', mac.length, '6', 'NetTeam');
    const other = this.members.primary ?? this.members.standby;
    if (other !== undefined && !mac.every((byte, at) => byte === this.address[at]))
      return `its address is ${text(mac)}, want ${text(this.address)} (virtio 1.4 §5.1.3)`;
    const isStandby = driver.isStandby === true;
    if (isStandby !== (role === 'standby'))
      return role === 'standby'
        ? 'VIRTIO_NET_F_STANDBY is not negotiated (virtio 1.4 §5.1.3)'
        : 'it is a stand-by: VIRTIO_NET_F_STANDBY is negotiated (virtio 1.4 §5.1.3)';
    return undefined;
  }

  private receive(frame: TeamFrame, role: TeamRole): void {
    if (this.isReflected(frame)) {
      this.counters.reflected++;
      return;
    }
    this.counters.received[role]++;
    this.events.frame(frame, role);
  }

  /** Whether a frame came from this very station: a switch floods what it announced, to the other member too. */
  private isReflected({ memory, ranges, length }: TeamFrame): boolean {
    if (length < 2 * MAC_BYTES) return false;
    const { address } = this;
    for (let byte = 0; byte < MAC_BYTES; byte++) {
      let at = MAC_BYTES + byte;
      let range = 0;
      while (at >= ranges.length[range]!) at -= ranges.length[range++]!;
      if (memory.u8[ranges.offset[range]! + at] !== address[byte]) return false;
    }
    return true;
  }
}

const isUsable = (driver: EthernetDriver | undefined): boolean => driver?.state === 'running' && driver.isLinkUp;

const text = (mac: Uint8Array): string => Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
