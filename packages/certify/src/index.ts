export {
  CERTIFICATE_SCHEMA,
  type CellResult,
  type Certificate,
  type ScenarioResult,
  type StatementState,
} from './certificate.js';
export { backendNames, type CertifyOptions, certify, scenarioNames } from './certify.js';
export type { StatementLevel } from './driver-clauses.js';
export type { DriverModule, DriverRefusal, GuestDriver, GuestMachine, OpenDriver } from './driver-module.js';
export { isModuleRefusal, loadDriver, type ModuleRefusal } from './load-driver.js';
export { certificateJunit } from './report/junit.js';
export { cellLine, cellStatements, certificateText } from './report/text.js';
export type { Statement } from './statements.js';
export type { Finding, Standing } from './verdict.js';
