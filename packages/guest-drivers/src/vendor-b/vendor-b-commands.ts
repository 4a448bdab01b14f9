import { ADMIN_OP, P_MAC, P_RECEIVE_MODE, P_VF_MAC, P_VF_TRUST } from '@ringwire/nic-spec/vendor-b';
import { type Breakdown, isBreakdown } from '../breakdown.js';
import type { AdminChannel } from './admin-channel.js';

/** Commands to a function of vendor B's. Each returns why the function refused, with nothing changed, or undefined. */
export class VendorBCommands {
  private readonly admin: AdminChannel;

  constructor(admin: AdminChannel) {
    this.admin = admin;
  }

  /** Change the station's address. A virtual function has to be trusted for that. @param mac 6 bytes */
  setMac(mac: Uint8Array): Breakdown | undefined {
    return this.run(ADMIN_OP.SET_MAC, (to) => putMac(to, P_MAC.mac, mac));
  }

  /** @param bits of `RECEIVE_MODE` */
  setReceiveMode(bits: number): Breakdown | undefined {
    return this.run(ADMIN_OP.SET_RECEIVE_MODE, (to) => to.setUint16(P_RECEIVE_MODE.bits, bits, true));
  }

  /** The physical function: the address of a virtual one, now and after its resets. */
  setVirtualMac(index: number, mac: Uint8Array): Breakdown | undefined {
    return this.run(ADMIN_OP.VF_SET_MAC, (to) => {
      to.setUint16(P_VF_MAC.index, index, true);
      putMac(to, P_VF_MAC.mac, mac);
    });
  }

  /** The physical function: whether a virtual one may change its address and become promiscuous. */
  setVirtualTrust(index: number, isTrusted: boolean): Breakdown | undefined {
    return this.run(ADMIN_OP.VF_SET_TRUST, (to) => {
      to.setUint16(P_VF_TRUST.index, index, true);
      to.setUint16(P_VF_TRUST.trusted, isTrusted ? 1 : 0, true);
    });
  }

  private run(opcode: number, fill: (to: DataView) => void): Breakdown | undefined {
    const results = this.admin.require(opcode, fill);
    return isBreakdown(results) ? results : undefined;
  }
}

function putMac(to: DataView, at: number, mac: Uint8Array): void {
  for (const [byte, value] of mac.entries()) to.setUint8(at + byte, value);
}
