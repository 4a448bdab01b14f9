import type { Delivered, Frame, FrameSink, NetBackend } from '@ringwire/net-backend';

/**
 * The vendor's part of a network device whose rings are served in software: what the emulation wraps is five calls, and all
 * that a vendor writes. Frames lie in host memory, and are the callee's for the length of a call.
 */
export interface IhvPlugin {
  /** Send a frame: taken, no room now, or given up. It is complete: no offload is asked for. */
  tx(frame: Frame): Delivered;
  /**
   * Hand over what came in, frame by frame, until `deliver` answers FULL: that frame and those behind it are kept.
   * @param budget most frames
   * @returns frames that were handed over
   */
  rx(deliver: (frame: Frame) => Delivered, budget: number): number;
  /** Interrupt proxy: whom to tell that something came in; undefined: nobody. */
  interrupt(raise: (() => void) | undefined): void;
  /** Stop: when it returns there is no DMA, no frame is sent, and nobody is told of any, until {@link restart}. */
  quiesce(): void;
  /** Go on, or begin. */
  restart(): void;
}

/** A plug-in as what a network device is plugged into: quiesced while the device does not run, or is suspended. */
export class PluginBackend implements NetBackend {
  readonly offloads = 0;
  private readonly plugin: IhvPlugin;
  private sink: FrameSink | undefined = undefined;
  private isRunning = false;
  private isSuspended = false;
  private isActive = false;

  constructor(plugin: IhvPlugin) {
    this.plugin = plugin;
  }

  attach(device: FrameSink | undefined): void {
    this.sink = device;
  }

  receive(frame: Frame): Delivered {
    return this.plugin.tx(frame);
  }

  running(isRunning: boolean): void {
    this.isRunning = isRunning;
    this.follow();
  }

  suspended(isSuspended: boolean): void {
    this.isSuspended = isSuspended;
    this.follow();
  }

  pump(budget: number): number {
    const { sink } = this;
    if (sink === undefined || !this.isActive) return 0;
    return this.plugin.rx((frame) => sink.receive(frame), budget);
  }

  private follow(): void {
    const isActive = this.isRunning && !this.isSuspended;
    if (isActive === this.isActive) return;
    this.isActive = isActive;
    if (isActive) this.plugin.restart();
    else this.plugin.quiesce();
  }
}
