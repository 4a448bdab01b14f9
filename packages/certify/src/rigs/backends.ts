import { mmioBackend, pciBackend } from './emulated.js';
import type { Backend } from './rig.js';
import { vfBackend } from './sriov.js';
import { threadBackend } from './thread.js';
import { VDPA_BACKENDS } from './vdpa.js';

/** All backends that a driver is run over. */
export const BACKENDS: readonly Backend[] = [pciBackend, mmioBackend, threadBackend, vfBackend, ...VDPA_BACKENDS];
