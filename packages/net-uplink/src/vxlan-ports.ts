import { bindUdp, close, SystemError, UdpAddress } from '@ringwire/linux';

/** RFC 7348 §5: source ports are of the dynamic range, so that routers spread flows over their paths. */
const FIRST = 49_152;
const COUNT = 16_384;
/** A port each for so many groups of flows. */
const SOCKETS = 16;
/** Ports that are tried before the system chooses one. */
const TRIES = 8;
/** Nobody has anything to say to them: the least that the system gives. */
const RECEIVE_BYTES = 1;

/** Sockets whose ports tell flows apart: the way out of a VXLAN tunnel. */
export class SourcePorts {
  private readonly sockets: number[] = [];

  /** @param address of this machine. @throws SystemError */
  constructor(address: string) {
    try {
      for (let index = 0; index < SOCKETS; index++) this.sockets.push(bindAnywhere(address, index));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The socket for a flow. */
  of(flowHash: number): number {
    return this.sockets[flowHash & (SOCKETS - 1)]!;
  }

  close(): void {
    for (const socket of this.sockets.splice(0)) close(socket);
  }
}

/** Different ports in different processes, as a rule. */
function bindAnywhere(address: string, index: number): number {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const port = FIRST + ((process.pid * 31 + index + attempt * 1021) % COUNT);
    try {
      return bindUdp(new UdpAddress(address, port), RECEIVE_BYTES);
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== 'EADDRINUSE') throw error;
    }
  }
  return bindUdp(new UdpAddress(address, 0), RECEIVE_BYTES);
}
