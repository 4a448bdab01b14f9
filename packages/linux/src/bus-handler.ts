/** Words that the handler reads and writes: addresses in the process. */
export interface HandlerData {
  /** The handler that was there before, or 0 or 1 where there was none: a 64-bit word. */
  readonly previous: number;
  /** Counts faults in watched parts: a 64-bit word. */
  readonly hits: number;
  /** 32 zero bytes, which to the kernel are the action that ends the process. */
  readonly noAction: number;
  /** `count` watches of four 64-bit words: start and end of the part, its faults, nothing. */
  readonly watches: number;
  readonly count: number;
}

/** A byte, an immediate of 4 or 8 bytes, a jump by one byte, or the place that jumps lead to. */
type Piece = number | { readonly imm32: number } | { readonly imm64: number } | { readonly to: string } | string;

/**
 * Machine code of a SIGBUS handler for x86-64 Linux. It runs wherever the fault was, so it calls nothing and uses only
 * what a handler may change: registers that the kernel restores. In C:
 *
 *     void handler(int signal, siginfo_t *info, void *context) {
 *       if (info->si_code == BUS_ADRERR)
 *         for (w = watches; w < watches + count; w++)
 *           if (w->start <= info->si_addr && info->si_addr < w->end) {
 *             if (mmap(w->start, w->end - w->start, PROT_READ | PROT_WRITE,
 *                      MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) fails) goto end;
 *             w->hits++; hits++; return;
 *           }
 *       if (previous > 1) goto *previous;
 *     end:
 *       rt_sigaction(SIGBUS, noAction, NULL, 8);   // and the fault, which happens again, ends the process
 *     }
 */
export function handlerCode({ previous, hits, noAction, watches, count }: HandlerData): Uint8Array {
  // biome-ignore format: a line for each instruction
  return assemble([
    0xf3, 0x0f, 0x1e, 0xfa,                     // endbr64
    0x83, 0x7e, 0x08, 0x02,                     // cmp dword [rsi + 8], BUS_ADRERR
    0x75, { to: 'other' },                      // jne other
    0x48, 0x8b, 0x46, 0x10,                     // mov rax, [rsi + 16]        si_addr
    0x49, 0xb8, { imm64: watches },             // mov r8, watches
    0xb9, { imm32: count },                     // mov ecx, count
    'next',
    0x49, 0x3b, 0x00,                           // cmp rax, [r8]
    0x72, 0x06,                                 // jb over the next two
    0x49, 0x3b, 0x40, 0x08,                     // cmp rax, [r8 + 8]
    0x72, { to: 'watched' },                    // jb watched
    0x49, 0x83, 0xc0, 0x20,                     // add r8, 32
    0xff, 0xc9,                                 // dec ecx
    0x75, { to: 'next' },                       // jnz next
    'other',
    0x49, 0xba, { imm64: previous },            // mov r10, &previous
    0x4d, 0x8b, 0x12,                           // mov r10, [r10]
    0x49, 0x83, 0xfa, 0x01,                     // cmp r10, 1
    0x76, { to: 'end' },                        // jbe end
    0x41, 0xff, 0xe2,                           // jmp r10
    'end',
    0xbf, { imm32: 7 },                         // mov edi, SIGBUS
    0x48, 0xbe, { imm64: noAction },            // mov rsi, noAction
    0x31, 0xd2,                                 // xor edx, edx
    0x41, 0xba, { imm32: 8 },                   // mov r10d, 8
    0xb8, { imm32: 13 },                        // mov eax, rt_sigaction
    0x0f, 0x05,                                 // syscall
    0xc3,                                       // ret
    'watched',
    0x49, 0x8b, 0x38,                           // mov rdi, [r8]
    0x49, 0x8b, 0x70, 0x08,                     // mov rsi, [r8 + 8]
    0x48, 0x29, 0xfe,                           // sub rsi, rdi
    0x41, 0x50,                                 // push r8
    0xba, { imm32: 3 },                         // mov edx, PROT_READ | PROT_WRITE
    0x41, 0xba, { imm32: 0x4032 },              // mov r10d, MAP_…
    0x49, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff,   // mov r8, -1
    0x45, 0x31, 0xc9,                           // xor r9d, r9d
    0xb8, { imm32: 9 },                         // mov eax, mmap
    0x0f, 0x05,                                 // syscall
    0x41, 0x58,                                 // pop r8
    0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff,         // cmp rax, -4096
    0x77, { to: 'end' },                        // ja end                     an errno
    0xf0, 0x49, 0xff, 0x40, 0x10,               // lock inc qword [r8 + 16]
    0x48, 0xb8, { imm64: hits },                // mov rax, &hits
    0xf0, 0x48, 0xff, 0x00,                     // lock inc qword [rax]
    0xc3,                                       // ret
  ]);
}

function assemble(pieces: readonly Piece[]): Uint8Array {
  const bytes: number[] = [];
  const labels = new Map<string, number>();
  const jumps: { readonly at: number; readonly to: string }[] = [];
  const immediate = (value: number, length: number): void => {
    for (let rest = BigInt(value), n = 0; n < length; n++, rest >>= 8n) bytes.push(Number(rest & 0xffn));
  };
  for (const piece of pieces) {
    if (typeof piece === 'number') bytes.push(piece);
    else if (typeof piece === 'string') labels.set(piece, bytes.length);
    else if ('imm32' in piece) immediate(piece.imm32, 4);
    else if ('imm64' in piece) immediate(piece.imm64, 8);
    else {
      jumps.push({ at: bytes.length, to: piece.to });
      bytes.push(0);
    }
  }
  const code = Uint8Array.from(bytes);
  for (const { at, to } of jumps) code[at] = labels.get(to)! - (at + 1);
  return code;
}
