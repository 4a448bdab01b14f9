import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import type { HandoverClaim, MoveSide } from '@ringwire/vdpa';

/**
 * Who runs, as a file that processes share: whole as soon as it is there, and there once, whoever is killed at whatever moment.
 * @param path where there is no file when the move begins
 */
export function fileClaim(path: string): HandoverClaim {
  const own = `${path}.${process.pid}`;
  return {
    take(side) {
      writeFileSync(own, side);
      try {
        linkSync(own, path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      } finally {
        unlinkSync(own);
      }
      return claimedBy(path) === side;
    },
    cede(side) {
      if (claimedBy(path) !== side) return;
      writeFileSync(own, side === 'source' ? 'target' : 'source');
      renameSync(own, path);
    },
  };
}

/** Who has it; undefined for nobody. */
export function claimedBy(path: string): MoveSide | undefined {
  try {
    return readFileSync(path, 'utf8') as MoveSide;
  } catch {
    return undefined;
  }
}
