export { type RefusedAccess, RequesterStage } from './requester-stage.js';
export { runVtdSet, type VtdCheck, type VtdDifference } from './vtd-golden-check.js';
export {
  type VtdExpectation,
  type VtdSetFiles,
  vtdMemory,
  vtdRegisterValues,
  vtdUnitOf,
} from './vtd-golden-set.js';
