import { DELIVERED, type Delivered, type Frame, type FrameSink, type NetBackend } from '@ringwire/net-backend';

/** A port of the switch that tells of each frame that its device took. */
export class TracedPort implements NetBackend {
  /** Only of a port that knows the time: others are asked again soon. */
  readonly deadline?: () => number;
  private readonly port: NetBackend;
  private readonly took: (bytes: number) => void;

  constructor(port: NetBackend, took: (bytes: number) => void) {
    this.port = port;
    this.took = took;
    if (port.deadline !== undefined) this.deadline = () => port.deadline!();
  }

  get offloads(): number {
    return this.port.offloads;
  }

  receive(frame: Frame): Delivered {
    return this.port.receive(frame);
  }

  attach(device: FrameSink | undefined): void {
    this.port.attach(device === undefined ? undefined : this.watched(device));
  }

  running(isRunning: boolean): void {
    this.port.running?.(isRunning);
  }

  pump(budget: number): number {
    return this.port.pump(budget);
  }

  flush(): void {
    this.port.flush?.();
  }

  /** Frames come one by one: without `receiveRun`. */
  private watched(device: FrameSink): FrameSink {
    return {
      get offloads() {
        return device.offloads;
      },
      receive: (frame) => {
        const { length } = frame;
        const delivered = device.receive(frame);
        if (delivered === DELIVERED.ACCEPTED) this.took(length);
        return delivered;
      },
      flush: () => device.flush?.(),
    };
  }
}
