import type { PeerMemory } from '@ringwire/peer-memory';
import { type RingLayouts, VduseDevice, VduseError, type VduseState } from '@ringwire/vduse';
import type { NetDevice } from '@ringwire/virtio-device';
import { VirtioError } from '@ringwire/virtio-spec';
import type { ServeListener } from './serve-ports.js';
import { UnusableInput } from './terminal.js';

/** A port whose device is one of this kernel's, by VDUSE. */
export interface VdusePort {
  /** `vduse:NAME`. */
  readonly socket: string;
  readonly name: string;
  readonly model: NetDevice;
  readonly rings: RingLayouts;
}

/** A device that is served to the kernel, and what is told of it. */
export class ServedVduse {
  readonly device: VduseDevice;
  state: VduseState = 'listening';
  private readonly socket: string;
  private readonly listener: ServeListener;

  /** @throws UnusableInput for what cannot be served, with what to do */
  constructor({ socket, name, model, rings }: VdusePort, memory: PeerMemory, listener: ServeListener) {
    this.socket = socket;
    this.listener = listener;
    const onState = (state: VduseState, features: Uint32Array): void => this.reach(state, features);
    const onProblem = (reason: string): void => listener.portProblem(socket, reason);
    try {
      this.device = new VduseDevice({ name, model, memory, rings, onState, onProblem });
    } catch (error) {
      if (error instanceof VduseError || error instanceof VirtioError) throw new UnusableInput(error.message);
      throw error;
    }
  }

  close(): void {
    this.state = 'listening';
    if (!this.device.close()) this.listener.portLeft(this.socket);
  }

  private reach(state: VduseState, features: Uint32Array): void {
    this.state = state;
    if (state === 'listening') this.listener.portEnd(this.socket, 'its driver let go of it');
    else this.listener.portState(this.socket, state, features);
  }
}
