export { type FrameFields, frameWith, ScriptedBackend, type ScriptedFrame } from './scripted-backend.js';
