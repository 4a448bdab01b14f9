export { BusGuard } from './bus-guard.js';
export { FDS_MAX, receive, send } from './channel.js';
export {
  accept,
  addressOf,
  close,
  connectUnix,
  GONE,
  listenUnix,
  mapFileAt,
  mapZerosAt,
  NativeBytes,
  NOT_NOW,
  newEvent,
  newMemoryFile,
  PollSet,
  SystemError,
  setNonBlocking,
  signalEvent,
  takeEvent,
} from './libc.js';
