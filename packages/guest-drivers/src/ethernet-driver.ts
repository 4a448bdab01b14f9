import type { ReceivedFrame } from './received-frame.js';

/**
 * What every interrupt-driven network driver does, whatever it drives: a program that is written for it runs on a virtio
 * device and on cards of vendors' own. Frames come by the events that the driver was opened with.
 */
export interface EthernetDriver {
  readonly state: 'running' | 'suspended' | 'recovering' | 'broken' | 'closed';
  /** The station's address, 6 bytes; zeros while the device is not there. */
  readonly mac: Uint8Array;
  /** Bytes of a frame behind its header. */
  readonly mtu: number;
  /** As the device says; while it runs, of one that says nothing. */
  readonly isLinkUp: boolean;
  /** Frames that it took and the device has not given back, as far as was looked: {@link watch} looks. */
  readonly sending: number;
  /** Whether {@link poll} has something to do. */
  readonly needsPoll: boolean;
  /** Note an interrupt. @param vector number of the message; not looked at where there is one line */
  interrupt(vector?: number): void;
  /** Do what interrupts asked for. @param budget most frames @returns how much was done */
  poll(budget?: number): number;
  /** Look after the link, time limits, and a device that is to be brought up again: ten times a second, say. */
  watch(): void;
  /** Send a copy of a frame, complete as it is. @returns a `SENT` value @throws VirtioError for its length */
  sendBytes(frame: Uint8Array): number;
  /** Give the device back: it is reset, and all memory freed. What it was sending is lost. */
  close(): void;
}

/** What every such driver tells its user, from within its own methods. */
export interface EthernetEvents {
  /** A frame came in. It is good during the call. */
  frame(frame: Pick<ReceivedFrame, 'memory' | 'ranges' | 'length' | 'bytes'>): void;
  /** There is room to send again, after FULL. */
  writable?(): void;
}
