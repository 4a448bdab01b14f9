import { EICR, GPIE, IVAR, PF_REG } from '@ringwire/nic-spec/ixgbe';
import type { RegisterFile } from './register-file.js';
import type { VectorCauses } from './vector-causes.js';

const { RTX_QUEUE } = EICR;
const OTHERS = ~RTX_QUEUE;
const MISC_SHIFT = 8;

/**
 * EICR and its relatives of the physical function: causes of queues in the lower half, which are vectors 0 to 15, and others
 * above. 82599 datasheet §7.3 and §8.2.3.5
 */
export class PhysicalInterrupts {
  private readonly registers: RegisterFile;
  private readonly causes: VectorCauses;
  /** The interrupt pin, which has no meaning while there are messages. */
  private readonly setPin: (isAsserted: boolean) => void;
  private others = 0;
  private enabled = 0;

  constructor(registers: RegisterFile, causes: VectorCauses, setPin: (isAsserted: boolean) => void) {
    this.registers = registers;
    this.causes = causes;
    this.setPin = setPin;
  }

  /** Something happened that no queue is the cause of. */
  cause(bits: number): void {
    this.others |= bits & OTHERS;
    if ((this.others & this.enabled & bits) !== 0) this.sendOthers();
    this.followPin();
  }

  /** A queue's cause was set, or a message was sent. */
  followPin(): void {
    this.setPin((this.pending() & this.enabledBits()) !== 0);
  }

  read(at: number): number {
    switch (at) {
      case PF_REG.EICR:
        return this.take();
      // Reads the causes without clearing them.
      case PF_REG.EICS:
        return this.pending() >>> 0;
      case PF_REG.EIMS:
      case PF_REG.EIMC:
        return this.enabledBits() >>> 0;
      case PF_REG.EIAC:
        return this.causes.autoClear[0]! & RTX_QUEUE;
      case PF_REG.EIAM:
        return this.registers.get(PF_REG.EIAM);
      default:
        return 0;
    }
  }

  write(at: number, value: number): void {
    const { causes } = this;
    switch (at) {
      case PF_REG.EICR:
        this.others &= ~value;
        causes.clear(0, value & RTX_QUEUE);
        break;
      case PF_REG.EICS:
        causes.setBits(0, value & RTX_QUEUE);
        this.cause(value);
        break;
      case PF_REG.EIMS:
        this.enabled |= value & OTHERS;
        causes.enable(0, value & RTX_QUEUE);
        if ((this.others & value & OTHERS) !== 0) this.sendOthers();
        break;
      case PF_REG.EIMC:
        this.enabled &= ~value;
        causes.disable(0, value & RTX_QUEUE);
        break;
      case PF_REG.EIAC:
        // Vectors from 16 on have no bit in EICR that could stay.
        causes.autoClear[0] = (value & RTX_QUEUE) | OTHERS;
        break;
      case PF_REG.EIAM:
        this.registers.set(PF_REG.EIAM, value);
        this.setAutoMask(0, (causes.autoMask[0]! & OTHERS) | (value & RTX_QUEUE));
        break;
      default:
    }
    this.followPin();
  }

  /** EIMS_EX, EIMC_EX, EICS_EX, EIAM_EX of 32 vectors. */
  enableVectors(word: number, bits: number): void {
    this.causes.enable(word, bits);
    this.followPin();
  }

  disableVectors(word: number, bits: number): void {
    this.causes.disable(word, bits);
    this.followPin();
  }

  setVectors(word: number, bits: number): void {
    this.causes.setBits(word, bits);
    this.followPin();
  }

  setAutoMask(word: number, bits: number): void {
    this.causes.autoMask[word] = bits;
  }

  reset(): void {
    this.others = 0;
    this.enabled = 0;
    this.causes.reset();
    this.causes.autoClear[0] = OTHERS;
    this.causes.autoClear[1] = -1;
    this.followPin();
  }

  private pending(): number {
    const { others } = this;
    return (this.causes.cause[0]! & RTX_QUEUE) | others | (others === 0 ? 0 : EICR.OTHER);
  }

  private enabledBits(): number {
    return (this.causes.enabled[0]! & RTX_QUEUE) | this.enabled;
  }

  /** With GPIE.OCD only causes that are no queue's are cleared by reading. */
  private take(): number {
    const found = this.pending();
    this.others = 0;
    if ((this.registers.get(PF_REG.GPIE) & GPIE.OCD) === 0) this.causes.clear(0, RTX_QUEUE);
    this.followPin();
    return found >>> 0;
  }

  /** By the vector that IVAR_MISC names for other causes; EIAM disables them then. */
  private sendOthers(): void {
    const entry = this.registers.get(PF_REG.IVAR_MISC) >>> MISC_SHIFT;
    if ((entry & IVAR.VALID) === 0) return;
    if ((this.registers.get(PF_REG.GPIE) & GPIE.EIAME) !== 0) this.enabled &= ~this.registers.get(PF_REG.EIAM);
    this.causes.sendFor(entry & IVAR.VECTOR_MASK);
  }
}
