import { isolationGroups, VFIO, type VfioContainer, VfioGroup, type VfioOutcome } from '@ringwire/iommu';
import {
  addressOf,
  type FoundFunction,
  PCI_CAP_ID,
  PCI_EXP,
  PCI_EXP_DEVICE_CAPABILITIES,
  PCI_EXP_DEVICE_CONTROL,
  PCI_SRIOV,
  PCI_SRIOV_CONTROL,
  type PciFunction,
  pciAddressText,
  type RootComplex,
  restoreBars,
} from '@ringwire/pci';
import type { MessageRouter, MessageSink } from '../message-router.js';
import { AssignedFunction } from './assigned-function.js';
import { REFUSED, type Refusal, refused } from './refusal.js';
import { topologyOf } from './topology.js';

/** The driver name of functions that can be given to guests. */
export const PASS_THROUGH = 'vfio-pci';

/** One piece of a guest's RAM. */
export interface GuestRam {
  readonly gpa: number;
  /** In the machine's memory. */
  readonly physical: number;
  /** Whole pages. */
  readonly bytes: number;
  /** `ACCESS` bits of devices. */
  readonly access: number;
}

/** Who functions are given to: a virtual machine, or a process with its own addresses. */
export interface FunctionGuest {
  readonly name: string;
  /** Its domain. */
  readonly container: VfioContainer;
  /** Mapped, and pinned, for as long as it has a function. */
  readonly ram: readonly GuestRam[];
  /** Takes the interrupt messages of its functions. */
  message(routingId: number, ...message: Parameters<MessageSink>): void;
}

/** The machine whose functions are given away. */
export interface FunctionAssignmentConfig {
  readonly machine: RootComplex;
  /** The functions that the host found, virtual ones that are switched on included. */
  readonly found: () => readonly FoundFunction[];
  readonly messages: MessageRouter;
}

/** A driver, and what it was bound to: another function with the same routing id, later, has none. */
interface Bound {
  readonly driver: string;
  readonly pci: PciFunction | undefined;
}

interface Assigned {
  readonly guest: FunctionGuest;
  readonly group: VfioGroup;
  readonly view: AssignedFunction;
}

const { FUNCTION_LEVEL_RESET } = PCI_EXP_DEVICE_CAPABILITIES;
const { INITIATE_FUNCTION_LEVEL_RESET } = PCI_EXP_DEVICE_CONTROL;

/**
 * Which driver has which function, and which guest, as VFIO does it: functions that cannot be kept apart go together; a
 * function has one guest at a time, a guest any number of functions; each is reset before it is given away and when it is
 * given back. Requests are granted, or refused with the reason.
 */
export class FunctionAssignment {
  private readonly config: FunctionAssignmentConfig;
  private readonly drivers = new Map<number, Bound>();
  private readonly given = new Map<number, Assigned>();

  constructor(config: FunctionAssignmentConfig) {
    this.config = config;
  }

  /** Routing ids that go together, as ACS is switched on now. */
  groups(): number[][] {
    return isolationGroups(topologyOf(this.config.machine, this.config.found()));
  }

  /** The driver of a function, or undefined. */
  driverOf(routingId: number): string | undefined {
    const bound = this.drivers.get(routingId);
    if (bound === undefined || bound.pci === this.config.machine.functionAt(routingId)) return bound?.driver;
    this.drivers.delete(routingId);
    return undefined;
  }

  /** Who has a function, or undefined. */
  guestOf(routingId: number): FunctionGuest | undefined {
    return this.given.get(routingId)?.guest;
  }

  /** @param driver {@link PASS_THROUGH}, or one of the host's */
  bind(routingId: number, driver: string): Refusal | undefined {
    const found = this.find(routingId);
    if (found === undefined) return this.noFunction(routingId);
    if (found.isBridge && driver === PASS_THROUGH)
      return refused(REFUSED.BRIDGE, `${text(routingId)} is a port: what is behind it is given away, not itself`);
    const bound = this.driverOf(routingId);
    if (bound !== undefined) return refused(REFUSED.BOUND, `${text(routingId)} is bound to ${bound}`);
    const held = this.given.get(routingId);
    if (held !== undefined) return this.assigned(routingId, held);
    const present = driver === PASS_THROUGH ? undefined : this.givenAmong(this.groupOf(routingId));
    if (present !== undefined)
      return refused(
        REFUSED.GROUP_ELSEWHERE,
        `${text(routingId)} cannot be kept apart from what ${present.guest.name} has: no driver of the host's may use it`,
      );
    this.drivers.set(routingId, { driver, pci: this.config.machine.functionAt(routingId) });
    return undefined;
  }

  unbind(routingId: number): Refusal | undefined {
    const held = this.given.get(routingId);
    if (held !== undefined) return this.assigned(routingId, held);
    if (this.driverOf(routingId) === undefined)
      return refused(REFUSED.NOT_OURS, `${text(routingId)} is bound to no driver`);
    this.drivers.delete(routingId);
    return undefined;
  }

  /** Give a function to a guest. @returns what the guest's driver reaches it by */
  assign(routingId: number, guest: FunctionGuest): AssignedFunction | Refusal {
    const found = this.find(routingId);
    if (found === undefined) return this.noFunction(routingId);
    const held = this.given.get(routingId);
    if (held !== undefined) return this.assigned(routingId, held);
    const driver = this.driverOf(routingId);
    if (driver !== PASS_THROUGH)
      return refused(
        REFUSED.NOT_OURS,
        `${text(routingId)} is bound to ${driver ?? 'no driver'}, not to ${PASS_THROUGH}`,
      );
    if (this.hasVfs(found))
      return refused(REFUSED.HAS_VFS, `${text(routingId)} has virtual functions: switch them off first`);
    if (!this.canReset(routingId)) return refused(REFUSED.NO_RESET, `${text(routingId)} has no function-level reset`);
    const group = this.groupFor(routingId, guest);
    if (!(group instanceof VfioGroup)) return group;
    // Before the domain is there, so that nothing of before reaches the guest's memory.
    this.reset(routingId, found);
    const outcome = this.enter(group, guest);
    if (outcome !== VFIO.OK)
      return refused(REFUSED.NOT_MAPPED, `the memory of ${guest.name} is not mapped: VFIO outcome ${outcome}`);
    const view = new AssignedFunction(this.config.machine, found);
    this.given.set(routingId, { guest, group, view });
    this.config.messages.route(routingId, (...message) => guest.message(routingId, ...message));
    return view;
  }

  /** A guest gives a function back, or it is taken away. When this returns, none of its DMA reaches the guest any more. */
  release(routingId: number): Refusal | undefined {
    const held = this.given.get(routingId);
    if (held === undefined) return refused(REFUSED.NOT_OURS, `${text(routingId)} is no guest's`);
    held.view.revoke();
    this.config.messages.route(routingId, undefined);
    this.reset(routingId, this.find(routingId));
    this.given.delete(routingId);
    const isLast = ![...this.given.values()].some(({ group }) => group === held.group);
    if (isLast) held.guest.container.detach(held.group);
    return undefined;
  }

  private find(routingId: number): FoundFunction | undefined {
    const found = this.config.found().find((one) => one.routingId === routingId);
    return this.config.machine.functionAt(routingId) === undefined ? undefined : found;
  }

  /** The group to bring into the guest's container: the one that part of it is there by already, or a new one. */
  private groupFor(routingId: number, guest: FunctionGuest): VfioGroup | Refusal {
    const members = this.groupOf(routingId);
    const present = this.givenAmong(members);
    if (present !== undefined && present.guest !== guest)
      return refused(
        REFUSED.GROUP_ELSEWHERE,
        `${text(routingId)} cannot be kept apart from what ${present.guest.name} has`,
      );
    if (present !== undefined && present.group.requesters.join() !== members.join())
      return refused(
        REFUSED.GROUP_CHANGED,
        `what cannot be kept apart from ${text(routingId)} changed while ${guest.name} has some of it`,
      );
    for (const member of members) {
      const driver = this.driverOf(member);
      if (driver === undefined || driver === PASS_THROUGH || this.find(member)?.isBridge === true) continue;
      return refused(
        REFUSED.GROUP_SHARED,
        `${text(routingId)} cannot be kept apart from ${text(member)}, which is bound to ${driver}`,
      );
    }
    return present?.group ?? new VfioGroup(members[0]!, members);
  }

  private groupOf(routingId: number): readonly number[] {
    return this.groups().find((group) => group.includes(routingId)) ?? [routingId];
  }

  /** What a guest has of some functions, or has to leave alone beside them. */
  private givenAmong(members: readonly number[]): Assigned | undefined {
    for (const held of this.given.values()) if (members.some((id) => held.group.requesters.includes(id))) return held;
    return undefined;
  }

  /** Bring a group into the guest's container, with the guest's memory if it is the first. */
  private enter(group: VfioGroup, { container, ram, name }: FunctionGuest): VfioOutcome {
    if (group.container === container) return VFIO.OK;
    const isFirst = container.groups.length === 0;
    const outcome = container.attach(group);
    if (outcome !== VFIO.OK || !isFirst) return outcome;
    for (const { gpa, physical, bytes, access } of ram) {
      const mapped = container.map(gpa, physical, bytes, access, name);
      if (mapped === VFIO.OK) continue;
      container.detach(group);
      return mapped;
    }
    return VFIO.OK;
  }

  private hasVfs({ routingId, sriov }: FoundFunction): boolean {
    if (sriov === undefined) return false;
    const control = this.config.machine.configRead(routingId, sriov.at + PCI_SRIOV.CONTROL, 2);
    return (control & PCI_SRIOV_CONTROL.VF_ENABLE) !== 0;
  }

  private canReset(routingId: number): boolean {
    const { machine } = this.config;
    const at = machine.functionAt(routingId)?.capabilityAt(PCI_CAP_ID.PCI_EXPRESS) ?? -1;
    return at >= 0 && (machine.configRead(routingId, at + PCI_EXP.DEVICE_CAPABILITIES, 4) & FUNCTION_LEVEL_RESET) !== 0;
  }

  /** BARs are where they were afterwards; everything else is as after power-on. */
  private reset(routingId: number, found: FoundFunction | undefined): void {
    const { machine } = this.config;
    const at = machine.functionAt(routingId)?.capabilityAt(PCI_CAP_ID.PCI_EXPRESS) ?? -1;
    if (at < 0 || found === undefined) return;
    machine.configWrite(routingId, at + PCI_EXP.DEVICE_CONTROL, 2, INITIATE_FUNCTION_LEVEL_RESET);
    restoreBars(machine, found);
  }

  private noFunction(routingId: number): Refusal {
    return refused(REFUSED.NO_FUNCTION, `there is no function ${text(routingId)}`);
  }

  private assigned(routingId: number, { guest }: Assigned): Refusal {
    return refused(REFUSED.ASSIGNED, `${text(routingId)} is given to ${guest.name}`);
  }
}

const text = (routingId: number): string => pciAddressText(addressOf(routingId));
