/** What was wrong with the frames that reached the device. All zero is the only good outcome. */
export interface FrameFaults {
  /** Numbers that never came. */
  lost: number;
  /** Frames that came again, or late. */
  misplaced: number;
  /** Frames of which a byte or the length was not what the driver sent. */
  damaged: number;
  /** The first of them, in words. */
  first: string | undefined;
}

/** Compares what arrives with what was sent. In the loop nothing is called unless a frame is wrong. */
export class FrameCheck implements FrameFaults {
  lost = 0;
  misplaced = 0;
  damaged = 0;
  first: string | undefined;

  /** @param came number of the frame @param due number that it should have had; both 32 bits that wrap */
  wrongNumber(came: number, due: number): void {
    const ahead = (came - due) | 0;
    if (ahead > 0) this.lost += ahead;
    else this.misplaced++;
    this.first ??= `frame ${came >>> 0} came where frame ${due >>> 0} was due`;
  }

  wrongBytes(number: number, found: string, wanted: string): void {
    this.damaged++;
    this.first ??= `frame ${number >>> 0} has ${found}, the driver sent ${wanted}`;
  }
}
