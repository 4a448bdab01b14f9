export * from './admin-command.js';
export * from './admin-objects.js';
export * from './device-parts.js';
export * from './net-flow-filter.js';
