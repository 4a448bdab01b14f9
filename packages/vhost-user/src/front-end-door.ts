import { unlinkSync } from 'node:fs';
import { accept, close, connectUnix, listenUnix, NOT_NOW, SystemError } from '@ringwire/linux';

/** Where back-ends are found, one at a time: at a path where they listen, or at one where they come to us. */
export class BackEndDoor {
  private readonly path: string;
  private readonly listener: number;

  /**
   * @param listens wait for back-ends to connect, rather than connect to them
   * @throws SystemError for a path where no socket can be, RangeError for one that is too long
   */
  constructor(path: string, listens: boolean) {
    this.path = path;
    this.listener = listens ? listenUnix(path) : NOT_NOW;
  }

  /** @returns a connection to a back-end, or {@link NOT_NOW} */
  open(): number {
    if (this.listener !== NOT_NOW) return accept(this.listener);
    try {
      return connectUnix(this.path);
    } catch (error) {
      if (error instanceof SystemError) return NOT_NOW;
      throw error;
    }
  }

  close(): void {
    if (this.listener === NOT_NOW) return;
    close(this.listener);
    try {
      unlinkSync(this.path);
    } catch {
      // Somebody took it away: gone is what it is to be.
    }
  }
}
