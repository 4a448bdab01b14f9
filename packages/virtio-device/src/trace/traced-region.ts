import type { BarRegion } from '@ringwire/pci';
import type { DeviceTrace } from './device-trace.js';

/**
 * A region whose accesses a trace is told of; the region itself without a trace.
 * @param nameOf what lies at an offset of the region
 */
export function tracedRegion(
  region: BarRegion,
  trace: DeviceTrace | undefined,
  nameOf: (at: number) => string,
): BarRegion {
  if (trace === undefined) return region;
  return {
    offset: region.offset,
    size: region.size,
    read: (at, size) => {
      const value = region.read(at, size);
      trace.register(false, nameOf(at), size, value);
      return value;
    },
    // Before what it brings about.
    write: (at, size, value) => {
      trace.register(true, nameOf(at), size, value);
      region.write(at, size, value);
    },
  };
}

/** The field of a layout that an offset lies in, with how far: `queue_desc`, `queue_desc+4`. */
export function fieldNames(
  layout: Readonly<Record<string, { readonly at: number; readonly bytes: number }>>,
): (at: number) => string {
  return (offset) => {
    const found = Object.entries(layout).find(([, { at, bytes }]) => at <= offset && offset < at + bytes);
    if (found === undefined) return `+${offset}`;
    const [name, { at }] = found;
    return offset === at ? name : `${name}+${offset - at}`;
  };
}
