import { connect, type Socket } from 'node:net';

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** QEMU's control socket: a JSON object a line. @see docs/interop/qmp-spec in QEMU's sources */
export class Qmp {
  private readonly socket: Socket;
  private readonly pending: Pending[] = [];
  private text = '';

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (piece: string) => this.receive(piece));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const { reject } of this.pending.splice(0)) reject(new Error('QEMU ended'));
    });
  }

  static async connect(path: string): Promise<Qmp> {
    const qmp = new Qmp(connect(path));
    await qmp.command('qmp_capabilities');
    return qmp;
  }

  /** @returns what QEMU answers. @throws Error with what it says is wrong */
  command(name: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.pending.push({ resolve, reject });
      this.socket.write(`${JSON.stringify({ execute: name, arguments: args })}\n`);
    });
  }

  /** Answers come in the order of the commands; events and the greeting are neither. */
  private receive(piece: string): void {
    this.text += piece;
    const lines = this.text.split('\n');
    this.text = lines.pop()!;
    for (const line of lines) {
      const message = JSON.parse(line) as { return?: unknown; error?: { desc: string } };
      if (message.error !== undefined) this.pending.shift()?.reject(new Error(message.error.desc));
      else if ('return' in message) this.pending.shift()?.resolve(message.return);
    }
  }
}
