/** One sentence on why a device does nothing, or does less than its driver expects. */
export interface Reason {
  /** `problem`: somebody has to act before all is well. `note`: how things stand, and may well be meant to. */
  readonly level: 'problem' | 'note';
  /** The virtqueue that it is about; null for the device as a whole. */
  readonly queue: number | null;
  readonly text: string;
  /** What of the specification is broken; null where nothing is. */
  readonly clause: Clause | null;
}

/** A clause of the specification that a ring breaks. */
export interface Clause {
  /** Statement id, or the ring oracle's own id beginning with `ring.`. */
  readonly id: string;
  /** Section of virtio 1.4. */
  readonly spec: string;
  readonly by: 'driver' | 'device';
  /** Address of the field at fault, hex; null when it is no memory. */
  readonly at: string | null;
}

export const problem = (text: string, queue: number | null = null): Reason => ({
  level: 'problem',
  queue,
  text,
  clause: null,
});

export const note = (text: string, queue: number | null = null): Reason => ({
  level: 'note',
  queue,
  text,
  clause: null,
});

/** A reason as a sentence that stands by itself. */
export function sentence({ queue, text, clause }: Reason): string {
  const whose = queue === null ? '' : `Queue ${queue}: `;
  return clause === null ? `${whose}${text}` : `${whose}${clause.id} (virtio 1.4 §${clause.spec}): ${text}`;
}
