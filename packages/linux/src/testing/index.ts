export { namespaceProblem, TestNamespace } from './namespace.js';
