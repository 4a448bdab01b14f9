import type { NetBackend } from '@ringwire/net-backend';
import type { EmbeddedNic, EmbeddedNicOptions, MacPolicy } from '@ringwire/virtio-device';

/** How a card is made that is plugged into a v86 machine: beside what is said here, as a network device. */
export interface V86NicOptions
  extends Omit<EmbeddedNicOptions, 'memory' | 'host' | 'port' | 'deferInterrupts' | 'now'> {
  /** Where its frames go to and come from: a port of a switch, an uplink, a capture. */
  readonly port: NetBackend;
  /** Device number on the bus, 1 to 31; the next free one from 16 on unless given. A state is for the same number. */
  readonly slot?: number;
  /** Which address it has when the machine's state was restored; that of the state unless given. */
  readonly macAfterRestore?: MacPolicy;
}

/** A card in a v86 machine. */
export interface V86Nic {
  readonly nic: EmbeddedNic;
  /** Device number on the bus. */
  readonly slot: number;
}
