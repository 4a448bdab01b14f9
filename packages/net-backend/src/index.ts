export { BROUGHT_FRAME_BYTES, BroughtFrame } from './brought-frame.js';
export type { CaptureClock } from './capture-clock.js';
export type { CaptureOptions, CaptureOutput } from './capture-options.js';
export { copyAcross, copyFrame, frameBytes } from './copy-frame.js';
export { Frame, FrameRun, NO_ORIGIN, ORIGIN_MASK, originsBetween } from './frame.js';
export { FrameQueue } from './frame-queue.js';
export { LearningSwitch, type SwitchPortCounters } from './learning-switch.js';
export { LoopbackBackend } from './loopback-backend.js';
export { DELIVERED, type Delivered, EVERY_OFFLOAD, type FrameSink, type NetBackend, OFFLOAD } from './net-backend.js';
export { NullBackend } from './null-backend.js';
export { PairBackend, type PairCounters, pairBackends } from './pair-backend.js';
export { PcapError } from './pcap-error.js';
export { type Pcap, type PcapFrame, readPcap } from './pcap-reader.js';
export { PcapSource, type PcapSourceOptions, pcapBytes } from './pcap-source.js';
export { PcapWriter } from './pcap-writer.js';
export { PCAPNG_DIRECTION, type PcapngDirection } from './pcapng-layout.js';
export { PcapngWriter } from './pcapng-writer.js';
export {
  type CableCounters,
  type CableOptions,
  type CablePlace,
  cableSpotAt,
  SharedCable,
  unplugCable,
} from './shared-cable.js';
export {
  FrameQueueReader,
  FrameQueueWriter,
  SHARED_QUEUE_HEAD_BYTES,
  type SharedQueuePlace,
} from './shared-frame-queue.js';
