import type { QueueState } from '@ringwire/virtqueue';

/** Why a vendor's control plane did not do what it was asked. */
export interface ControlProblem {
  /** Names the command, what came of it and what was wanted. */
  readonly message: string;
}

export const isControlProblem = (answer: unknown): answer is ControlProblem =>
  typeof answer === 'object' && answer !== null && 'message' in answer;

/** What a vendor's data plane has. */
export interface ControlFacts {
  readonly configBytes: number;
  readonly queues: number;
  readonly queueSizeMax: number;
}

/** A queue as its driver put it, and the vendor's vector of it. */
export interface ControlRing {
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  readonly vector?: number;
}

/**
 * What a vendor writes for a data plane that is virtio's behind a control plane that is its own: one call for each thing to be
 * done, however registers, mailboxes and commands do it. {@link ControlVdpa} makes a vDPA device of it.
 */
export interface VendorControl {
  readonly facts: ControlFacts;
  /** Feature words 0–3 on offer. */
  features(): Uint32Array | ControlProblem;
  accept(features: Uint32Array): ControlProblem | undefined;
  /** The device status, virtio 1.4 §2.1. */
  status(): number | ControlProblem;
  /** @returns what it reads now; 0 resets the data plane, which is done when this returns */
  setStatus(bits: number): number | ControlProblem;
  /** @param length at most 48 */
  readConfig(
    offset: number,
    length: number,
  ): { readonly bytes: Uint8Array; readonly generation: number } | ControlProblem;
  setQueue(index: number, ring: ControlRing): ControlProblem | undefined;
  setPosition(index: number, position: QueueState): ControlProblem | undefined;
  /** With the data plane suspended, or the queue not ready. */
  position(index: number): QueueState | ControlProblem;
  setReady(index: number, ready: boolean): ControlProblem | undefined;
  /** No ring is touched when this returns; what was taken is used first. */
  suspend(): ControlProblem | undefined;
  resume(): ControlProblem | undefined;
  /** @see VdpaDevice.typeState */
  typeState(): Uint8Array | ControlProblem;
  setTypeState(parts: Uint8Array): ControlProblem | undefined;
  /** A doorbell. */
  kick(index: number): void;
  /** Give the function back. */
  close(): ControlProblem | undefined;
}
