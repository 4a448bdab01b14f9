export * from './net-config.js';
export * from './net-ctrl.js';
export * from './net-feature-needs.js';
export * from './net-features.js';
export * from './net-hash.js';
export * from './net-header.js';
export * from './net-stats.js';
