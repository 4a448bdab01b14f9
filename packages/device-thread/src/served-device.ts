import { PCI_CAP_ID, PCI_COMMAND, PCI_HEADER, PCI_MSIX, PCI_MSIX_CONTROL } from '@ringwire/pci';
import {
  type VirtioDevice,
  VirtioMmio,
  type VirtioMmioConfig,
  VirtioPci,
  type VirtioPciConfig,
} from '@ringwire/virtio-device';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { BELL_MODE, type ControlLayout, SHADOW_WORDS, SHOWN } from './control-layout.js';
import type { DeviceKeeper } from './device-keeper.js';
import type { InterruptRaiser } from './interrupt-words.js';
import { ACCESS_KIND } from './mailbox.js';
import { restoreFunction, type SavedFunction } from './saved-function.js';

/** A device behind the control block, whatever its transport. */
export interface ServedDevice {
  readonly device: VirtioDevice;
  /** Do a register access of `ACCESS_KIND`. @returns what was read, 0 for a write */
  serve(kind: number, offset: number, size: number, value: number): number;
  /** Let others see the device status; cheap where it did not change. */
  showStatus(): void;
}

/** What a device of a thread is made of; the transport's own parts are filled in. */
export type ServedConfig = Omit<VirtioMmioConfig, 'interrupt'> &
  Pick<VirtioPciConfig, 'vectors' | 'admin'> & {
    /** PCI alone: keeps the device, and knows where it goes on. */
    readonly kept?: DeviceKeeper;
  };

/** Writes of the words at `SHOWN`. */
class Shown {
  private readonly words: Int32Array;
  private readonly at: number;
  private status = 0;

  constructor(words: Int32Array, layout: ControlLayout) {
    this.words = words;
    this.at = layout.shown;
  }

  set(word: number, value: number): void {
    Atomics.store(this.words, this.at + word, value);
  }

  setStatus(status: number): void {
    if (status === this.status) return;
    this.status = status;
    this.set(SHOWN.STATUS, status);
  }
}

/** A device behind MMIO registers. @throws VirtioError for a type or an offer that cannot be */
export function serveMmio(
  words: Int32Array,
  layout: ControlLayout,
  raiser: InterruptRaiser,
  config: ServedConfig,
): ServedDevice {
  const shown = new Shown(words, layout);
  const mmio = new VirtioMmio({ ...config, interrupt: (level) => raiser.level(level) });
  const { device } = mmio;
  const show = (): void => {
    const hasData = device.negotiated(VIRTIO_F.NOTIFICATION_DATA);
    shown.set(SHOWN.BELL, hasData ? BELL_MODE.DATA : BELL_MODE.INDEX);
    shown.setStatus(device.status);
  };
  shown.set(SHOWN.QUEUES, device.queues.length);
  show();
  return {
    device,
    serve: (kind, offset, size, value) => {
      if (kind === ACCESS_KIND.MMIO_READ) return mmio.read(offset, size);
      if (kind !== ACCESS_KIND.MMIO_WRITE) return 0xffff_ffff;
      mmio.write(offset, size, value);
      show();
      return 0;
    },
    showStatus: () => shown.setStatus(device.status),
  };
}

/**
 * A device as a PCI function.
 * @param saved what the function was like when the thread before this one died
 * @throws VirtioError for a type, an offer or a layout that cannot be, Error when a kept device cannot go on
 */
export function servePci(
  words: Int32Array,
  layout: ControlLayout,
  raiser: InterruptRaiser,
  config: ServedConfig,
  saved?: SavedFunction,
): ServedDevice {
  const shown = new Shown(words, layout);
  const { vectors, admin, kept } = config;
  const queues = config.model.queueSizes.length + (admin === undefined ? 0 : (admin.queues ?? 1));
  const most = Math.min(queues + 1, layout.vectors, vectors ?? layout.vectors);
  const virtio = new VirtioPci({
    ...config,
    ...(kept === undefined ? {} : { keeper: kept }),
    vectors: most,
    msixWords: words.subarray(layout.msix),
    host: {
      sendMessage: (low, high, data, vector) => raiser.message(low, high, data, vector),
      setIntx: (asserted) => raiser.level(asserted),
    },
  });
  const { device, pci, common, layout: places } = virtio;
  if (saved !== undefined) restoreFunction(virtio, saved);
  goOn(virtio, kept);
  const msixAt = pci.capabilityAt(PCI_CAP_ID.MSI_X);
  const shadow = new Uint8Array(words.buffer, words.byteOffset + layout.shadow * 4, SHADOW_WORDS * 4);
  const showFunction = (): void => {
    shadow.set(pci.config.bytes);
    const control = msixAt < 0 ? 0 : pci.config.get16(msixAt + PCI_MSIX.MESSAGE_CONTROL);
    shown.set(SHOWN.MSIX_ON, (control & PCI_MSIX_CONTROL.ENABLE) === 0 ? 0 : 1);
    const command = pci.config.get16(PCI_HEADER.COMMAND);
    shown.set(SHOWN.PIN_OFF, (command & PCI_COMMAND.INTERRUPT_DISABLE) === 0 ? 0 : 1);
    const hasBells = pci.barAddress(places.notify.bar) >= 0 && virtio.notify.stride > 0;
    shown.set(SHOWN.BELL, hasBells ? BELL_MODE.ADDRESS : BELL_MODE.REGISTERS);
  };
  const showRegisters = (): void => {
    shown.set(SHOWN.CONFIG_VECTOR, common.configVector);
    shown.setStatus(device.status);
  };
  shown.set(SHOWN.QUEUES, device.queues.length);
  shown.set(SHOWN.BELL_STRIDE, virtio.notify.stride);
  shown.set(SHOWN.BELL_AT, places.notify.offset);
  shown.set(SHOWN.COMMON_AT, places.common.offset);
  shown.set(SHOWN.ISR_AT, places.isr.offset);
  showFunction();
  showRegisters();
  return {
    device,
    serve: (kind, offset, size, value) => {
      if (kind === ACCESS_KIND.CONFIG_READ) return pci.configRead(offset, size);
      if (kind === ACCESS_KIND.CONFIG_WRITE) {
        pci.configWrite(offset, size, value);
        showFunction();
        showRegisters();
        return 0;
      }
      if (kind < ACCESS_KIND.BAR_READ) return 0xffff_ffff;
      const bar = (kind - ACCESS_KIND.BAR_READ) >> 1;
      if ((kind & 1) === 0) return pci.barRead(bar, offset, size);
      pci.barWrite(bar, offset, size, value);
      showRegisters();
      return 0;
    },
    showStatus: () => shown.setStatus(device.status),
  };
}

/** Keep a function from here on; before anybody sees it, it is as it was kept. */
function goOn(virtio: VirtioPci, keeper: DeviceKeeper | undefined): void {
  if (keeper === undefined) return;
  keeper.attach(virtio);
  const problem = keeper.hasFunction ? keeper.restore(virtio) : undefined;
  if (problem !== undefined) throw new Error(problem);
}
