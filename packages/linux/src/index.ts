export { BusGuard } from './bus-guard.js';
export { FDS_MAX, receive, send } from './channel.js';
export { IoVector, PARTS_MAX } from './io-vector.js';
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
  pinThread,
  SystemError,
  setNonBlocking,
  signalEvent,
  socketPair,
  takeEvent,
} from './libc.js';
export {
  bringInterfaceUp,
  interfaceMtu,
  openTap,
  readTo,
  setInterfaceMtu,
  setTapOffloads,
  type Tap,
  TUN_F,
  writeParts,
} from './tap.js';
export { bindUdp, DatagramBurst, DatagramSender, lostDatagrams, pathMtu, TOO_LONG, UdpAddress } from './udp.js';
