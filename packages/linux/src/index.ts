export { BusGuard } from './bus-guard.js';
export { FDS_MAX, receive, send } from './channel.js';
export { IoVector, PARTS_MAX } from './io-vector.js';
export {
  accept,
  addressOf,
  close,
  connectUnix,
  errnoName,
  GONE,
  ioctl,
  listenUnix,
  mapFileAt,
  mapZerosAt,
  NativeBytes,
  NOT_NOW,
  newEvent,
  newMemoryFile,
  openDevice,
  PollSet,
  pinThread,
  readTo,
  SystemError,
  sealSize,
  setNonBlocking,
  signalEvent,
  socketPair,
  takeEvent,
  writeFrom,
} from './libc.js';
export {
  bringInterfaceUp,
  interfaceMtu,
  openTap,
  setInterfaceMtu,
  setTapOffloads,
  type Tap,
  TUN_F,
  writeParts,
} from './tap.js';
export { bindUdp, DatagramBurst, DatagramSender, lostDatagrams, pathMtu, TOO_LONG, UdpAddress } from './udp.js';
export { WaitSet } from './wait-set.js';
