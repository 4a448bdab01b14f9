import type { StatementId } from '../statements.js';
import type { Bug } from './bugs.js';

/** Where a bug shows, and as what. */
export interface BugCase {
  readonly ids: readonly StatementId[];
  readonly backend?: string;
  readonly rings?: 'split' | 'packed';
  readonly iommu?: boolean;
  readonly scenario: string;
  /** The specification only recommends not to. */
  readonly isAdvice?: true;
}

/** What each buggy driver is told, by hand from virtio 1.4. */
export const BUG_CLAUSES: Readonly<Record<Bug, readonly BugCase[]>> = {
  'does not reset first': [{ ids: ['drv.basic.init.2'], scenario: 'open and stop' }],
  'does not wait for the reset': [
    { ids: ['drv.pci.common-cfg.5'], scenario: 'slow reset' },
    { ids: ['drv.basic.reset.1', 'drv.basic.cleanup.2'], backend: 'mmio', scenario: 'slow reset' },
  ],
  'takes a status bit back': [{ ids: ['drv.basic.status.2'], scenario: 'open and stop' }],
  'accepts what is not offered': [{ ids: ['drv.basic.features.1'], scenario: 'least features' }],
  'accepts what is not defined': [
    { ids: ['drv.basic.features.4', 'drv.basic.features.5'], scenario: 'unknown features' },
  ],
  'accepts without what it needs': [{ ids: ['drv.basic.features.2'], scenario: 'open and stop' }],
  'does not read FEATURES_OK back': [{ ids: ['drv.basic.init.10'], scenario: 'open and stop' }],
  'goes on without FEATURES_OK': [{ ids: ['drv.basic.init.10', 'drv.basic.init.14'], scenario: 'features refused' }],
  'DRIVER_OK before queues': [{ ids: ['drv.basic.init.11'], scenario: 'open and stop' }],
  'notifies before DRIVER_OK': [{ ids: ['drv.basic.init.15'], scenario: 'open and stop' }],
  'notifies after the reset': [{ ids: ['drv.basic.init.15'], scenario: 'open and stop' }],
  'stops without a reset': [{ ids: ['drv.basic.cleanup.2'], scenario: 'open and stop' }],
  'frees memory before the reset': [{ ids: ['drv.basic.cleanup.2'], scenario: 'open and stop' }],
  'ignores DEVICE_NEEDS_RESET': [{ ids: ['drv.basic.status.4'], scenario: 'needs reset' }],
  'writes the configuration': [{ ids: ['drv.net.config.1', 'drv.basic.init.7'], scenario: 'open and stop' }],
  'reads a field that is not there': [{ ids: ['drv.basic.config-space.3'], scenario: 'no address' }],
  'reads the address in pieces': [
    {
      ids: ['drv.basic.config-space.1', 'drv.basic.config-space.2'],
      scenario: 'configuration changes while it is read',
    },
  ],
  'does not wait until it is suspended': [{ ids: ['drv.basic.suspend.2'], scenario: 'suspend and resume' }],
  'sends while suspended': [
    { ids: ['drv.basic.suspend.3', 'drv.basic.suspend.4'], scenario: 'suspend and resume' },
    { ids: ['drv.basic.suspend.3', 'drv.basic.suspend.4'], rings: 'packed', scenario: 'suspend and resume' },
  ],
  'does not wait until it is resumed': [{ ids: ['drv.basic.suspend.6'], scenario: 'suspend and resume' }],
  'does not wait for a queue’s reset': [
    { ids: ['drv.basic.vq-reset.1', 'drv.pci.common-cfg.7'], scenario: 'queue reset' },
    { ids: ['drv.basic.vq-reset.1', 'drv.mmio.registers.21'], backend: 'mmio', scenario: 'queue reset' },
    { ids: ['drv.basic.vq-reset.1'], backend: 'vdpa-sim', scenario: 'queue reset' },
  ],
  'misaligned ring': [{ ids: ['drv.split.alignment.1'], rings: 'split', scenario: 'open and stop' }],
  'reuses a descriptor in flight': [{ ids: ['drv.basic.cleanup.1'], rings: 'split', scenario: 'full rings' }],
  'reuses a buffer id': [{ ids: ['ring.packed.id-twice'], rings: 'packed', scenario: 'traffic' }],
  'changes a buffer under way': [
    { ids: ['drv.basic.cleanup.1'], rings: 'split', scenario: 'full rings' },
    { ids: ['drv.packed.desc-table.2'], rings: 'packed', scenario: 'full rings' },
  ],
  'loop in a chain': [{ ids: ['drv.split.desc-table.1'], rings: 'split', scenario: 'traffic' }],
  'writable before readable': [
    { ids: ['drv.split.framing.1'], rings: 'split', scenario: 'traffic' },
    { ids: ['drv.packed.scatter-gather.3'], rings: 'packed', scenario: 'traffic' },
  ],
  'reserved flag': [
    { ids: ['ring.split.flags-reserved'], rings: 'split', scenario: 'traffic' },
    { ids: ['ring.packed.flags-reserved'], rings: 'packed', scenario: 'traffic' },
  ],
  'indirect and next': [{ ids: ['drv.split.indirect.4'], rings: 'split', scenario: 'traffic' }],
  'available index goes back': [{ ids: ['drv.split.avail-ring.1'], rings: 'split', scenario: 'traffic' }],
  'wrap counter is not flipped': [{ ids: ['ring.packed.wrap-counter'], rings: 'packed', scenario: 'traffic' }],
  'never notifies': [
    { ids: ['drv.split.avail-notif-suppression.6'], rings: 'split', scenario: 'traffic' },
    { ids: ['drv.split.avail-notif-suppression.4'], rings: 'split', scenario: 'no event indexes' },
    { ids: ['ring.packed.notify-missing'], rings: 'packed', scenario: 'traffic' },
  ],
  'always notifies': [
    { ids: ['drv.split.avail-notif-suppression.7'], rings: 'split', scenario: 'full rings', isAdvice: true },
    { ids: ['ring.packed.notify-unwanted'], rings: 'packed', scenario: 'full rings', isAdvice: true },
  ],
  'addresses that are not the device’s': [
    { ids: ['drv.basic.reserved-features.4'], iommu: true, scenario: 'traffic' },
    { ids: ['drv.basic.reserved-features.5'], iommu: false, backend: 'mmio', scenario: 'traffic' },
  ],
  'short header': [{ ids: ['drv.net.rx-buffers.4'], scenario: 'traffic' }],
  'num_buffers in a sent header': [{ ids: ['drv.net.tx.2'], scenario: 'traffic' }],
  'segmentation that is not negotiated': [{ ids: ['drv.net.tx.7', 'drv.net.tx.31'], scenario: 'traffic' }],
  'flags without CSUM': [{ ids: ['drv.net.tx.3'], scenario: 'traffic' }],
  'ignores num_buffers': [{ ids: ['net.rx.merged'], scenario: 'long frames' }],
  'believes buffers beyond their length': [
    { ids: ['drv.split.used-ring.1', 'drv.split.used-ring.2'], rings: 'split', scenario: 'shorter than written' },
    { ids: ['net.rx.frame'], rings: 'packed', scenario: 'shorter than written' },
  ],
  'ignores mtu': [{ ids: ['drv.net.config.9'], scenario: 'small mtu' }],
  'small receive buffers': [{ ids: ['drv.net.rx-buffers.2', 'drv.net.config.8'], scenario: 'no mergeable buffers' }],
  'drops frames with unknown flags': [{ ids: ['drv.net.rx.1'], scenario: 'odd headers' }],
  'does not acknowledge interrupts': [{ ids: ['drv.mmio.registers.19'], backend: 'mmio', scenario: 'traffic' }],
  throws: [{ ids: ['driver.survives'], scenario: 'traffic' }],
  'waits for ever': [{ ids: ['driver.survives'], scenario: 'link goes down and up' }],
};
