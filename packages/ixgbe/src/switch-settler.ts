import type { PortSettings } from '@ringwire/eswitch';
import { VirtioError } from '@ringwire/virtio-spec';
import type { IxgbePort } from './function-options.js';

type Changes = Partial<PortSettings>;
type Setting = keyof PortSettings;

/** Keeps the settings of one port of the switch as the registers say: those that changed are set. */
export class SwitchSettler {
  private readonly port: IxgbePort;
  /** What was set last, as text. */
  private readonly known = new Map<string, string>();

  constructor(port: IxgbePort) {
    this.port = port;
  }

  /** @returns how many settings the switch refused: a driver may have written what cannot be */
  settle(wanted: Changes): number {
    if (this.port.configure === undefined) return 0;
    let refused = 0;
    for (const name of Object.keys(wanted) as Setting[]) {
      const text = textOf(wanted[name]);
      if (this.known.get(name) === text) continue;
      if (this.set({ [name]: wanted[name] })) this.known.set(name, text);
      else refused++;
    }
    return refused;
  }

  private set(change: Changes): boolean {
    try {
      this.port.configure!(change);
      return true;
    } catch (error) {
      if (error instanceof VirtioError) return false;
      throw error;
    }
  }
}

function textOf(value: unknown): string {
  return (
    JSON.stringify(value, (_key, part) => {
      if (part instanceof Set) return [...part];
      return ArrayBuffer.isView(part) ? Array.from(part as Uint8Array | Uint32Array) : part;
    }) ?? ''
  );
}
