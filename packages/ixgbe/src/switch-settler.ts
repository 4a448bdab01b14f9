import type { PortSettings } from '@ringwire/eswitch';
import { VirtioError } from '@ringwire/virtio-spec';
import type { IxgbeCard } from './card.js';
import type { IxgbePort } from './ixgbe-function.js';

type Changes = Partial<PortSettings>;
type Setting = keyof PortSettings;

/** Keeps the settings of one port of the switch as the registers say: those that changed are set, when they are asked for. */
export class SwitchSettler {
  private readonly card: IxgbeCard;
  private readonly port: IxgbePort;
  private version = 0;
  /** What was set last, as text. */
  private readonly known = new Map<string, string>();

  constructor(card: IxgbeCard, port: IxgbePort) {
    this.card = card;
    this.port = port;
  }

  /** @param compute called when registers were written since the last time */
  settle(compute: (card: IxgbeCard) => Changes): void {
    const { card, port } = this;
    if (this.version === card.settingsVersion || port.configure === undefined) return;
    this.version = card.settingsVersion;
    const wanted = compute(card);
    for (const name of Object.keys(wanted) as Setting[]) {
      const text = textOf(wanted[name]);
      if (this.known.get(name) === text) continue;
      this.known.set(name, text);
      this.set({ [name]: wanted[name] });
    }
  }

  /** A driver may have written what no switch can do: everything else holds nevertheless. */
  private set(change: Changes): void {
    try {
      this.port.configure!(change);
    } catch (error) {
      if (!(error instanceof VirtioError)) throw error;
      this.card.statistics.refusedSettings++;
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
