import { CTRL_EXT, MESSAGE, MESSAGE_WORD, PF_REG, PF_ROW, PFMAILBOX, rowAt } from '@ringwire/nic-spec/ixgbe';
import type { IxgbeStage } from './ixgbe-stage.js';

const BROADCAST_AND_UNTAGGED = 0x0900_0000;
const ADDRESS_VALID = 0x8000_0000;

/** The physical function's driver in front of a test: it grants whatever virtual functions ask for. */
export class HandPf {
  /** Types of the messages that came, as virtual function and type. */
  readonly heard: [vf: number, type: number][] = [];
  private readonly stage: IxgbeStage;

  constructor(stage: IxgbeStage) {
    this.stage = stage;
    stage.openPools();
    stage.pf.write(PF_REG.HLREG0, 0x407);
    stage.pf.write(PF_REG.MAXFRS, 9018 * 2 ** 16);
  }

  /** Answer what is in the mailboxes. */
  serve(): void {
    const { pf, vfs } = this.stage;
    const asked = pf.read(rowAt(PF_ROW.PFMBICR, 0));
    pf.write(rowAt(PF_ROW.PFMBICR, 0), asked);
    for (let vf = 0; vf < vfs.length; vf++) if ((asked & (1 << vf)) !== 0) this.answer(vf);
  }

  private answer(vf: number): void {
    const { pf } = this.stage;
    const memory = rowAt(PF_ROW.PFMBMEM, vf);
    const mailbox = rowAt(PF_ROW.PFMAILBOX, vf);
    const words = [0, 1, 2].map((i) => pf.read(memory + 4 * i));
    const type = words[0]! & MESSAGE_WORD.TYPE_MASK;
    this.heard.push([vf, type]);
    pf.write(mailbox, PFMAILBOX.ACK);
    pf.write(mailbox, PFMAILBOX.PFU);
    let answer = [(words[0]! | MESSAGE_WORD.ACK | MESSAGE_WORD.CTS) >>> 0, ...words.slice(1)];
    if (type === MESSAGE.VF_RESET) answer = this.reset(vf);
    if (type === MESSAGE.SET_MAC_ADDR) this.setAddress(vf, words[1]!, words[2]!);
    if (type === MESSAGE.GET_QUEUES) answer = [answer[0]!, 2, 2, 0, 0];
    if (type === MESSAGE.GET_LINK_STATE) answer = [answer[0]!, 1];
    for (const [i, word] of answer.entries()) pf.write(memory + 4 * i, word);
    pf.write(mailbox, PFMAILBOX.STS);
  }

  private reset(vf: number): number[] {
    const { pf } = this.stage;
    for (const row of [PF_ROW.PFVFRE, PF_ROW.PFVFTE]) pf.write(rowAt(row, 0), pf.read(rowAt(row, 0)) | (1 << vf));
    pf.write(rowAt(PF_ROW.PFVFLREC, 0), 1 << vf);
    pf.write(rowAt(PF_ROW.PFVML2FLT, vf), BROADCAST_AND_UNTAGGED);
    pf.write(rowAt(PF_ROW.PFVFSPOOF, 0), 0xff);
    this.setAddress(vf, 0x02, 0x0100 + vf * 0x0100);
    return [(MESSAGE_WORD.ACK | MESSAGE.VF_RESET) >>> 0, 0x02, 0x0100 + vf * 0x0100, 0];
  }

  private setAddress(vf: number, low: number, high: number): void {
    const { pf } = this.stage;
    pf.write(rowAt(PF_ROW.RAL, 1 + vf), low);
    pf.write(rowAt(PF_ROW.RAH, 1 + vf), ((high & 0xffff) | ADDRESS_VALID) >>> 0);
    pf.write(rowAt(PF_ROW.MPSAR_LO, 1 + vf), 1 << vf);
  }

  /** The driver starts anew: CTRL.RST, and what it set up before. */
  restart(): void {
    this.stage.pf.write(PF_REG.CTRL, 0x0400_0000);
    this.stage.openPools();
    this.stage.pf.write(PF_REG.CTRL_EXT, CTRL_EXT.PFRSTD);
  }
}
