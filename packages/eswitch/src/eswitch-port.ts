import type { NetBackend } from '@ringwire/net-backend';
import type { PortSettings, PortWishes } from './port-settings.js';
import type { WireControl, WireLink } from './wire/wire-settings.js';

/** Where frames come into a card's switch and leave it. */
export type PortKind = 'wire' | 'physical' | 'virtual' | 'representor';

/** A wish that was not granted: everything is as before. */
export interface PortRefusal {
  /** The setting that it is about. */
  readonly setting: keyof PortWishes;
  /** A sentence for people. */
  readonly message: string;
}

/** One port of a card's switch. */
export interface EswitchPort {
  /** The wire is 0, the physical function 1, virtual function i is 2 + i; representors come behind. */
  readonly number: number;
  readonly kind: PortKind;
  /** What a device is plugged into. Frames that it sends are ACCEPTED, DROPPED, or FULL while the gate is closed. */
  readonly backend: NetBackend;
  readonly settings: PortSettings;
  /** Whether frames pass now. */
  readonly isUp: boolean;
  /** Speed in Mbit/s, and duplex, of the link: the wire's, for all. Other than before only while {@link isUp} is false. */
  readonly speed: number;
  readonly duplex: WireLink['duplex'];
  /** The card's wire, to be set: the physical function's alone, as far as there is a `WirePort`. */
  readonly wire: WireControl | undefined;
  /**
   * Whether functions reach one another in the card: true, unless the physical function's driver says otherwise. Without it
   * all that they send goes out by the wire, as with a VEPA. The physical function's port alone takes it.
   */
  localSwitching: boolean;
  /**
   * The host sets what it wants.
   * @throws VirtioError for what cannot be, naming the setting
   */
  configure(changes: Partial<PortSettings>): void;
  /** The function's own driver asks; whatever it asks for is data. @returns why not, or undefined: it is so now */
  request(wishes: Partial<PortWishes>): PortRefusal | undefined;
  /** The function was reset, or went: its wishes go, what the host set stays. */
  forgetWishes(): void;
  /** Called when {@link isUp} changed. */
  onLink: ((isUp: boolean) => void) | undefined;
}
