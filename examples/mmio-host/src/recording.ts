/** One access of a processor to the device's registers. */
export interface RegisterAccess {
  readonly isWrite: boolean;
  /** Guest-physical. */
  readonly address: number;
  readonly bytes: 1 | 2 | 4;
  /** Written, or what the recorded device answered; unsigned, of that width. */
  readonly value: number;
}

/** What a driver did: its register accesses in their order, and what its rings and buffers held when it was stopped. */
export interface Recording {
  /** RAM of the machine, from guest-physical address 0 on, in bytes. */
  readonly ramBytes: number;
  readonly accesses: readonly RegisterAccess[];
  /** Rows of memory in which not every byte is 0. */
  readonly memory: readonly { readonly gpa: number; readonly bytes: Uint8Array }[];
}

/** Bytes in a line of memory. */
const ROW = 32;
const LINE =
  /^(?:([rw]) ([0-9a-f]{1,13}) ([124]) ([0-9a-f]{1,8})|m ([0-9a-f]{1,8}) ((?:[0-9a-f]{2})+)|ram ([0-9a-f]{1,8}))$/;

/**
 * A recording as text: `ram` is followed by its bytes, `r` and `w` lines are accesses (address, width, value), `m` lines
 * memory (address, bytes), numbers in hexadecimal; `#` begins a comment.
 * @throws Error with the number of the first line that is none of these, or has memory beyond RAM
 */
export function parseRecording(text: string): Recording {
  const accesses: RegisterAccess[] = [];
  const memory: { gpa: number; bytes: Uint8Array }[] = [];
  let ramBytes = 0;
  text.split('\n').forEach((line, index) => {
    if (line === '' || line.startsWith('#')) return;
    const [, kind, address, bytes, value, gpa, row, ram] = LINE.exec(line) ?? [];
    if (ram !== undefined) ramBytes = hex(ram);
    else if (row !== undefined && hex(gpa) + row.length / 2 <= ramBytes)
      memory.push({ gpa: hex(gpa), bytes: Uint8Array.from(row.match(/../g)!, hex) });
    else if (kind === undefined) throw new Error(`line ${index + 1} is "${line}", want ram, r, w, or m in RAM`);
    else
      accesses.push({
        isWrite: kind === 'w',
        address: hex(address),
        bytes: Number(bytes) as RegisterAccess['bytes'],
        value: hex(value),
      });
  });
  return { ramBytes, accesses, memory };
}

/** The text of a recording. @param comment lines for its head */
export function formatRecording({ ramBytes, accesses, memory }: Recording, comment: readonly string[]): string {
  const lines = [...comment.map((line) => `# ${line}`), `ram ${ramBytes.toString(16)}`];
  for (const { isWrite, address, bytes, value } of accesses)
    lines.push(`${isWrite ? 'w' : 'r'} ${address.toString(16)} ${bytes} ${value.toString(16)}`);
  for (const { gpa, bytes } of memory) lines.push(`m ${gpa.toString(16)} ${Buffer.from(bytes).toString('hex')}`);
  return `${lines.join('\n')}\n`;
}

/** Cut memory into the rows of a recording, without those that are all 0. @param gpa a multiple of 32 */
export function rowsOf(gpa: number, bytes: Uint8Array): Recording['memory'] {
  const rows = [];
  for (let at = 0; at < bytes.length; at += ROW) {
    const row = bytes.subarray(at, at + ROW);
    if (row.some((byte) => byte !== 0)) rows.push({ gpa: gpa + at, bytes: row });
  }
  return rows;
}

function hex(text: string | undefined): number {
  return Number.parseInt(text ?? '', 16);
}
