/** Registers and structures of the transports: virtio over MMIO (virtio 1.4 §4.2) and over PCI (§4.1). */
export * from './mmio-registers.js';
export * from './pci-capability.js';
export * from './pci-common-cfg.js';
