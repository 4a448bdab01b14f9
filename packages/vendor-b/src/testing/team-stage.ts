import {
  guestDma,
  isBreakdown,
  type NetDriver,
  NetTeam,
  openNetDriver,
  openPciTransport,
  SENT,
  type TeamRole,
} from '@ringwire/guest-drivers';
import { GuestMemory, PageAllocator } from '@ringwire/guest-memory';
import { LearningSwitch, type NetBackend } from '@ringwire/net-backend';
import { NET_SCRATCH_BYTES, NetDevice, VirtioPci } from '@ringwire/virtio-device';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { frameTo, MESSAGES, macOf, numberIn, RAM, RAM_BYTES, type StageSide, VendorBStage } from './vendor-b-stage.js';

const F = VIRTIO_NET_F;
/** Of the guest's two interfaces, and of who talks to it. */
export const TEAM: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0xfa, 1);
export const PEER: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0xfa, 2);
/** Places of RAM, and of the card's ports: vendor B's function, then virtio devices. */
const PLACE = { vendorB: 0, standby: 1, peer: 2, virtioVf: 3 } as const;
/** At the end of each place's RAM is what its device works in. */
const GUEST_BYTES = RAM_BYTES - 0x1_0000;

/** A virtio device with its driver. */
export interface VirtioSide {
  readonly driver: NetDriver;
  readonly net: NetDevice;
  readonly pages: PageAllocator;
  /** Interrupts, polling, a step. @returns whether there was anything */
  turn(): boolean;
}

/**
 * A guest with a stand-by in front of the host's switch and a card with functions of two vendors, whose wire leads to the same
 * switch; and a peer there.
 */
export class TeamStage {
  readonly stage = new VendorBStage({ hasSwitch: true });
  readonly lan = new LearningSwitch(3);
  readonly heard: { number: number; from: TeamRole }[] = [];
  readonly switched: (TeamRole | undefined)[] = [];
  readonly left: TeamRole[] = [];
  /** Numbers that the peer got. */
  readonly arrived: number[] = [];
  /** Announcements that the peer got: broadcasts of the guest's. */
  announced = 0;
  readonly team: NetTeam;
  readonly peer: VirtioSide;
  private readonly turns = new Set<() => boolean>();
  private next = 0;

  constructor() {
    const { stage, lan } = this;
    const wire = stage.eswitch!.wire.backend;
    wire.attach(lan.ports[0]!);
    lan.ports[0]!.attach(wire);
    this.team = new NetTeam({
      frame: (frame, from) => this.heard.push({ number: numberIn(frame.bytes()), from }),
      switched: (role) => this.switched.push(role),
      left: (role) => this.left.push(role),
    });
    this.peer = this.virtio(PLACE.peer, PEER, lan.ports[2]!, false, (frame) => {
      if (frame[0] === 0xff) this.announced++;
      else this.arrived.push(numberIn(frame));
    });
  }

  /** The guest's stand-by, in the host's switch. */
  standby(mac: Uint8Array = TEAM, isStandby = true): VirtioSide {
    const { frame } = this.team.eventsFor('standby');
    return this.virtio(PLACE.standby, mac, this.lan.ports[1]!, isStandby, undefined, frame);
  }

  /** A virtual function that is virtio itself. */
  virtioVf(mac: Uint8Array = TEAM): VirtioSide {
    const port = this.stage.eswitch!.virtual[PLACE.virtioVf]!;
    port.configure({ mac });
    const side = this.virtio(PLACE.virtioVf, mac, port.backend, false, undefined, this.team.eventsFor('primary').frame);
    port.onLink = (isUp) => side.net.setLink(isUp);
    return side;
  }

  /** A virtual function of vendor B's. */
  vendorBVf(mac: Uint8Array = TEAM): StageSide {
    const { stage, team } = this;
    stage.eswitch!.virtual[PLACE.vendorB]!.configure({ mac });
    const [side] = stage.enable(1);
    side!.drive({ events: team.eventsFor('primary') });
    return side!;
  }

  /** A function is unplugged: its port is nobody's. */
  unplugVirtioVf(side: VirtioSide): void {
    this.stage.eswitch!.virtual[PLACE.virtioVf]!.configure({ mac: macOf(PLACE.virtioVf) });
    this.turns.delete(side.turn);
    side.net.close();
  }

  unplugVendorB(): void {
    this.stage.eswitch!.virtual[PLACE.vendorB]!.configure({ mac: macOf(PLACE.vendorB) });
    this.stage.disable();
  }

  /** Send so many frames. @returns their outcomes */
  send(count: number): number[] {
    return Array.from({ length: count }, () => {
      const outcome = this.team.sendBytes(frameTo(PEER, TEAM, this.next));
      if (outcome === SENT.OK) this.next++;
      return outcome;
    });
  }

  /** The peer sends a frame. */
  answer(number: number): void {
    this.peer.driver.sendBytes(frameTo(TEAM, PEER, number));
  }

  settle(): void {
    for (let turns = 0; turns < 1000; turns++) {
      let moved = this.stage.turn();
      for (const turn of this.turns) moved = turn() || moved;
      this.team.look();
      if (!moved) return;
    }
    throw new Error('drivers and devices do not come to rest');
  }

  private virtio(
    place: number,
    mac: Uint8Array,
    backend: NetBackend,
    standby: boolean,
    heard?: (frame: Uint8Array) => void,
    frame: Parameters<typeof openNetDriver>[0]['events']['frame'] = (came) => heard?.(came.bytes()),
  ): VirtioSide {
    const { memory } = this.stage;
    const host = (place + 1) * RAM_BYTES;
    const space = new GuestMemory(memory, [{ gpa: RAM, size: GUEST_BYTES, host }]);
    const pages = new PageAllocator(RAM, GUEST_BYTES);
    const scratch = host + RAM_BYTES - 8 * Math.ceil(NET_SCRATCH_BYTES / 8);
    const net = new NetDevice({ memory, scratch, backend, mac, standby, holdWhenFull: true });
    const vectors: number[] = [];
    const pci = new VirtioPci({
      model: net,
      space,
      host: { sendMessage: (_low, _high, data) => vectors.push(data), setIntx: () => {} },
    });
    const transport = openPciTransport(pci.pci);
    if (isBreakdown(transport)) throw new Error(transport.message);
    const driver = openNetDriver({
      transport,
      dma: guestDma(space, pages),
      messages: MESSAGES,
      features: featureWords([VIRTIO_F.VERSION_1, F.MAC, F.STATUS, F.MRG_RXBUF, F.STANDBY]),
      queueSize: 64,
      now: () => this.stage.time,
      events: { frame },
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    const turn = (): boolean => {
      let moved = pci.device.step(64) > 0 || vectors.length > 0;
      for (const vector of vectors.splice(0)) driver.interrupt(vector);
      while (driver.needsPoll) {
        driver.poll();
        moved = true;
      }
      return moved;
    };
    this.turns.add(turn);
    return { driver, net, pages, turn };
  }
}
