import type { Frame } from '@ringwire/net-backend';

/** Told of every frame, or copy of one, that a switch drops. */
export interface DropWatcher {
  /**
   * @param port number of the port where it is counted
   * @param reason an `ESWITCH_DROP`
   * @param frame good during the call; a frame that is still to be cut up is told of once
   */
  dropped(port: number, reason: number, frame: Frame): void;
}
