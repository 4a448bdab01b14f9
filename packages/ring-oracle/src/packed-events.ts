import { PVIRTQ_EVENT_SUPPRESS, RING_EVENT_FLAGS } from '@ringwire/virtio-spec';
import type { WalkContext } from './chain-walk.js';
import { hex } from './memory-reader.js';
import { readEvent } from './packed-slots.js';
import type { EventSuppress, PackedHeader } from './report.js';
import type { PartView } from './ring-parts.js';

/** Decode and judge both event suppression structures. virtio 1.4 §2.8.10, §2.8.14. */
export function readEvents(context: WalkContext): PackedHeader {
  const { parts } = context;
  return {
    layout: 'packed',
    driver: checkedEvent(context, parts.driver, 'driver'),
    device: checkedEvent(context, parts.device, 'device'),
  };
}

function checkedEvent(
  { features, find, size }: WalkContext,
  part: PartView,
  by: 'driver' | 'device',
): EventSuppress | null {
  const event = readEvent(part);
  if (event === null) return null;
  const { reserved, ...fields } = event;
  const at = part.address + BigInt(PVIRTQ_EVENT_SUPPRESS.flags);
  if (reserved !== 0) {
    const message = `The ${part.name}'s flags have reserved bits ${hex(reserved)} set, want 0.`;
    find.violation(`ring.packed.${by}-event-reserved`, part.name, at, message);
  }
  if (fields.desc_event_flags > RING_EVENT_FLAGS.DESC) {
    const message = `The ${part.name}'s desc_event_flags are 3, which is reserved, want 0, 1 or 2.`;
    find.violation(`ring.packed.${by}-event-value`, part.name, at, message);
  }
  if (fields.desc_event_flags !== RING_EVENT_FLAGS.DESC) return fields;
  if (features.eventIdx === false) {
    const message = `The ${part.name}'s desc_event_flags are 2, want 0 or 1: VIRTIO_F_EVENT_IDX was not negotiated.`;
    find.violation(`ring.packed.${by}-event-desc`, part.name, at, message);
  } else if (fields.desc_event_off >= size) {
    const message = `The ${part.name}'s desc_event_off is ${fields.desc_event_off}, want a slot below the queue size ${size}.`;
    find.violation(`ring.packed.${by}-event-off`, part.name, part.address, message);
  }
  return fields;
}
