/** Takes messages of one requester. As of `PciHost.sendMessage`. */
export type MessageSink = (low: number, high: number, data: number, vector: number) => void;

/** Where the interrupt messages of each requester go: to the guest that has it, or to the host's driver. */
export class MessageRouter {
  /** Messages of requesters that nobody listens to. */
  unrouted = 0;
  private readonly sinks = new Map<number, MessageSink>();

  /** @param sink undefined: nobody listens any more */
  route(requesterId: number, sink: MessageSink | undefined): void {
    if (sink === undefined) this.sinks.delete(requesterId);
    else this.sinks.set(requesterId, sink);
  }

  deliver(requesterId: number, low: number, high: number, data: number, vector: number): void {
    const sink = this.sinks.get(requesterId);
    if (sink === undefined) this.unrouted++;
    else sink(low, high, data, vector);
  }
}
