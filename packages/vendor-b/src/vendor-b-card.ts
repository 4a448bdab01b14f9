import type { EswitchPort, PortSettings } from '@ringwire/eswitch';
import { RECEIVE_MODE } from '@ringwire/nic-spec/vendor-b';
import type { PhysicalPlace, VirtualPlace } from '@ringwire/sriov-nic';
import { VirtioError } from '@ringwire/virtio-spec';
import { isStationMac, sameMac } from './station.js';
import { PHYSICAL, VendorBFunction, type VendorBFunctionOptions } from './vendor-b-function.js';

/** What the host, through the physical function, decides for a virtual one. */
interface Policy {
  readonly mac: Uint8Array;
  isTrusted: boolean;
}

/** What a card of vendor B is made of. */
export interface VendorBCardOptions {
  readonly totalVfs: number;
  /**
   * What a function has, the same each time.
   * @param index of a virtual function, or -1 for the physical one
   */
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

  /** @throws VirtioError for an address that is no station's */
  constructor(options: VendorBCardOptions) {
    this.options = options;
    this.totalVfs = options.totalVfs;
    for (let index = PHYSICAL; index < this.totalVfs; index++) {
      const one = options.functionOptions(index);
      if ('port' in one) continue;
      checkMac(one.mac);
      this.policies.set(index, { mac: one.mac.slice(), isTrusted: false });
    }
  }

  physical(place: PhysicalPlace): VendorBFunction {
    return this.make(place, PHYSICAL);
  }

  virtual(place: VirtualPlace): VendorBFunction {
    return this.make(place, place.seat.index);
  }

  /** A function's port of a card's switch, where it has one: then the port's settings decide. */
  portOf(index: number): EswitchPort | undefined {
    const options = this.options.functionOptions(index);
    return 'port' in options ? options.port : undefined;
  }

  /** The address that a function has after a reset. */
  macOf(index: number): Uint8Array {
    return this.portOf(index)?.settings.mac ?? this.policyOf(index).mac;
  }

  /** A function's driver wants another address. @returns whether it has it now, as far as the card is concerned */
  grantMac(index: number, mac: Uint8Array): boolean {
    const port = this.portOf(index);
    if (port !== undefined) return port.request({ mac }) === undefined;
    return this.trusts(index) && this.isFree(mac, index);
  }

  /** A function's driver wants a receive mode. @param bits of `RECEIVE_MODE` @returns as {@link grantMac} */
  grantMode(index: number, bits: number): boolean {
    const promiscuous = (bits & RECEIVE_MODE.PROMISCUOUS) !== 0;
    const allMulticast = (bits & RECEIVE_MODE.ALL_MULTICAST) !== 0;
    const broadcast = (bits & RECEIVE_MODE.BROADCAST) !== 0;
    const port = this.portOf(index);
    if (port !== undefined) return port.request({ promiscuous, allMulticast, broadcast }) === undefined;
    return this.trusts(index) || !(promiscuous || allMulticast);
  }

  /** Decide a virtual function's address; a function that is there has it at once. @returns false, with nothing changed */
  setMac(index: number, mac: Uint8Array): boolean {
    if (!this.isFree(mac, index)) return false;
    const port = this.portOf(index);
    if (port === undefined) this.policyOf(index).mac.set(mac);
    else if (!configure(port, { mac })) return false;
    this.functions.get(index)?.station.mac.set(mac);
    return true;
  }

  /** Trust that is taken away takes back what was allowed with it. @returns false, with nothing changed */
  setTrust(index: number, trusted: boolean): boolean {
    const port = this.portOf(index);
    if (port === undefined) this.policyOf(index).isTrusted = trusted;
    else if (!configure(port, { trusted })) return false;
    if (!trusted) this.functions.get(index)?.station.begin(this.macOf(index));
    return true;
  }

  /** Whether a function may become promiscuous, and choose its address. The physical one always may. */
  trusts(index: number): boolean {
    return index === PHYSICAL || (this.portOf(index)?.settings.trusted ?? this.policyOf(index).isTrusted);
  }

  /** What a function's driver asked for is over. */
  forgetWishes(index: number): void {
    this.portOf(index)?.forgetWishes();
  }

  /** A function went. @returns false when another one is in its place already */
  forget(index: number, function_: VendorBFunction): boolean {
    return this.functions.get(index) === function_ && this.functions.delete(index);
  }

  private make(place: PhysicalPlace | VirtualPlace, index: number): VendorBFunction {
    const function_ = new VendorBFunction(place, this, index, this.options.functionOptions(index));
    this.functions.set(index, function_);
    return function_;
  }

  /** Whether an address is no other function's. */
  private isFree(mac: Uint8Array, index: number): boolean {
    for (let other = PHYSICAL; other < this.totalVfs; other++) {
      if (other === index) continue;
      const { station } = this.functions.get(other) ?? {};
      if (sameMac(this.macOf(other), mac) || (station !== undefined && sameMac(station.mac, mac))) return false;
    }
    return true;
  }

  /** Of a function without a port of a card's switch. */
  private policyOf(index: number): Policy {
    return this.policies.get(index)!;
  }
}

/** What the physical function's driver says is foreign: settings that cannot be are refused. */
function configure(port: EswitchPort, changes: Partial<PortSettings>): boolean {
  try {
    port.configure(changes);
    return true;
  } catch (mistake) {
    if (mistake instanceof VirtioError) return false;
    throw mistake;
  }
}

function checkMac(mac: Uint8Array): void {
  if (isStationMac(mac)) return;
  const text = Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
  throw new VirtioError('mac', text, '6 bytes of a station: no multicast, not zero', 'vendor B datasheet §6');
}
