import type { PciFunction, VirtualFunctions } from '@ringwire/pci';
import { type GroupMember, MemberDevice, type SriovOwner, type VirtioPci } from '@ringwire/virtio-device';

/**
 * The virtual functions of a card whose physical function administers them: the SR-IOV group, with the members that there are
 * at the time. A function that is no virtio device is in its place, and has nothing to be administered. virtio 1.4 §2.12.1
 */
export class AdministeredFunctions implements SriovOwner {
  private functions: VirtualFunctions | undefined = undefined;
  private readonly members = new WeakMap<PciFunction, GroupMember>();

  /** The card's virtual functions, when there is a physical one. */
  own(functions: VirtualFunctions): void {
    this.functions = functions;
  }

  /** A virtual function of them. */
  join(virtio: VirtioPci): void {
    this.members.set(virtio.pci, new MemberDevice(virtio));
  }

  get isEnabled(): boolean {
    return this.count > 0;
  }

  get count(): number {
    return this.functions?.functions.length ?? 0;
  }

  member(id: number): GroupMember | undefined {
    const pci = this.functions?.functions[id - 1];
    return pci === undefined ? undefined : this.members.get(pci);
  }
}
