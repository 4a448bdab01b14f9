/**
 * Knows which frames lie in used buffers, in memory that outlives the device: so that, when its thread is ended in the middle
 * of a burst and another one goes on, none is delivered twice. The origins of a backend's frames are ascending.
 */
export interface NetJournal {
  /** `Frame.origin` of the chain of a transmit queue that is used next. */
  nextOrigin(queue: number): number;
  /** Whether a frame from the backend came to a queue's driver in an earlier life. @param origin its `Frame.origin` */
  wasDelivered(queue: number, origin: number): boolean;
  /** It lies in buffers that are put when used elements are published next. */
  delivered(queue: number, origin: number): void;
}
