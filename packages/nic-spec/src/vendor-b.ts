export * from './vendor-b/admin.js';
export * from './vendor-b/completion.js';
export * from './vendor-b/pci-identity.js';
export * from './vendor-b/registers.js';
export * from './vendor-b/saved-state.js';
export * from './vendor-b/work-entry.js';
