import type { PhysicalPlace, VirtualPlace } from '@ringwire/sriov-nic';
import { VirtioError } from '@ringwire/virtio-spec';
import { isStationMac, sameMac } from './station.js';
import { PHYSICAL, VendorBFunction, type VendorBFunctionOptions } from './vendor-b-function.js';

/** What the host, through the physical function, decides for a virtual one. */
interface Policy {
  readonly mac: Uint8Array;
  isTrusted: boolean;
}

export interface VendorBCardOptions {
  readonly totalVfs: number;
  /** @param index of a virtual function, or -1 for the physical one. Called for each time that a function is made. */
  readonly functionOptions: (index: number) => VendorBFunctionOptions;
}

/**
 * What the functions of one card of vendor B have together. {@link physical} and {@link virtual} are what a `SriovNic` makes
 * its functions with.
 */
export class VendorBCard {
  readonly totalVfs: number;
  /** The functions that are there, by index; the physical one under -1. */
  readonly functions: Map<number, VendorBFunction> = new Map();
  private readonly options: VendorBCardOptions;
  /** What was decided so far; it outlives the functions. */
  private readonly policies: Map<number, Policy> = new Map();

  constructor(options: VendorBCardOptions) {
    this.options = options;
    this.totalVfs = options.totalVfs;
  }

  physical(place: PhysicalPlace): VendorBFunction {
    return this.make(place, PHYSICAL);
  }

  virtual(place: VirtualPlace): VendorBFunction {
    return this.make(place, place.seat.index);
  }

  /** The address that a function has after a reset. */
  macOf(index: number): Uint8Array {
    return this.policyOf(index).mac;
  }

  /** Whether a function may become promiscuous, and choose its address. The physical one always may. */
  trusts(index: number): boolean {
    return index === PHYSICAL || this.policyOf(index).isTrusted;
  }

  /** Whether an address is no other function's. */
  isFree(mac: Uint8Array, index: number): boolean {
    for (const [other, policy] of this.policies) if (other !== index && sameMac(policy.mac, mac)) return false;
    for (const [other, { station }] of this.functions) if (other !== index && sameMac(station.mac, mac)) return false;
    return true;
  }

  /** Decide a virtual function's address; a function that is there has it at once. */
  setMac(index: number, mac: Uint8Array): void {
    this.policyOf(index).mac.set(mac);
    this.functions.get(index)?.station.mac.set(mac);
  }

  /** Trust that is taken away takes back what was allowed with it. */
  setTrust(index: number, isTrusted: boolean): void {
    const policy = this.policyOf(index);
    policy.isTrusted = isTrusted;
    if (!isTrusted) this.functions.get(index)?.station.begin(policy.mac);
  }

  /** A function went. */
  forget(index: number, function_: VendorBFunction): void {
    if (this.functions.get(index) === function_) this.functions.delete(index);
  }

  private make(place: PhysicalPlace | VirtualPlace, index: number): VendorBFunction {
    const function_ = new VendorBFunction(place, this, index, this.options.functionOptions(index));
    this.functions.set(index, function_);
    return function_;
  }

  private policyOf(index: number): Policy {
    const known = this.policies.get(index);
    if (known !== undefined) return known;
    const { mac } = this.options.functionOptions(index);
    if (!isStationMac(mac)) {
      const text = Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
      throw new VirtioError('mac', text, '6 bytes of a station: no multicast, not zero', 'vendor B datasheet §6');
    }
    const policy = { mac: mac.slice(), isTrusted: false };
    this.policies.set(index, policy);
    return policy;
  }
}
