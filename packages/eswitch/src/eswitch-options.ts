import type { HostMemory } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { OPEN_GATE, type TransmitGate } from './transmit-gate.js';

const HERE = 'Eswitch';
const MICROSECONDS_PER_SECOND = 1_000_000;

/** What a switch is made with: where it is, and how it decides. */
export interface EswitchOptions {
  /** Of all devices that are plugged in. Frames of any other memory are brought into this one. */
  readonly memory: HostMemory;
  /** Host offset of ESWITCH_AREA_BYTES bytes that no driver can reach, a multiple of 8. */
  readonly at: number;
  /** 0 to 1024. */
  readonly virtualFunctions: number;
  /** µs that go by. */
  readonly now: () => number;
  /** Says when a function may send; without it always. */
  readonly gate?: TransmitGate;
  /**
   * 'veb': what is for a port of the card is handed over in the card. 'vepa': all that a function sends goes out by the
   * wire, and the bridge at its other end sends back what is for another port of the card. IEEE 802.1Qbg
   */
  readonly mode?: 'veb' | 'vepa';
  /** Learn from source addresses where stations are that no setting names. */
  readonly learning?: boolean;
  /** Functions whose link is 'auto' have one while the wire has none. */
  readonly floating?: boolean;
  /** Addresses that all ports' settings may list together, and as many that are learnt. 1 to 65536. */
  readonly macTableEntries?: number;
  /**
   * Most addresses and groups, and bits of a hash table of groups, that a function may have asked for which is not
   * trusted; 128 unless given. So that it cannot fill the table for the others.
   */
  readonly listedPerPort?: number;
  /** Most addresses that are learnt of one port. */
  readonly learnedPerPort?: number;
  /** How long an address that was learnt is known after its last frame, in µs. */
  readonly learnedFor?: number;
  /** Number of the port that gets frames to addresses that nobody has, besides the wire. */
  readonly defaultPort?: number;
  /** What a promiscuous port gets besides groups' frames: those to addresses that nobody has, or those to anybody. */
  readonly promiscuous?: 'unmatched' | 'everything';
  /**
   * Every virtual function has a representor, behind the last of them: what no flow rule knows goes from the function to
   * its representor, and what is sent on that to the function. What no rule knows of the wire is the physical function's.
   */
  readonly switchdev?: boolean;
}

/** @throws VirtioError for what cannot be */
export function checkOptions(options: EswitchOptions, areaBytes: number): Required<EswitchOptions> {
  const { memory, at, virtualFunctions } = options;
  const whole = {
    gate: OPEN_GATE,
    mode: 'veb',
    learning: false,
    floating: false,
    macTableEntries: 4096,
    listedPerPort: 128,
    learnedPerPort: 64,
    learnedFor: 300 * MICROSECONDS_PER_SECOND,
    defaultPort: -1,
    promiscuous: 'unmatched',
    switchdev: false,
    ...options,
  } as const;
  if (!Number.isInteger(at) || at < 0 || at % 8 !== 0 || at + areaBytes > memory.size)
    throw new VirtioError('at', at, `a multiple of 8 with ${areaBytes} bytes from there in the memory`, HERE);
  checkInteger('virtualFunctions', virtualFunctions, 0, 1024);
  checkInteger('macTableEntries', whole.macTableEntries, 1, 0x1_0000);
  checkInteger('listedPerPort', whole.listedPerPort, 0, 0x1_0000);
  checkInteger('learnedPerPort', whole.learnedPerPort, 0, 0x1_0000);
  checkInteger('defaultPort', whole.defaultPort, -1, 1 + virtualFunctions);
  if (!(whole.learnedFor >= 0)) throw new VirtioError('learnedFor', whole.learnedFor, 'µs, 0 or more', HERE);
  return whole;
}

function checkInteger(field: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new VirtioError(field, value, `an integer from ${min} to ${max}`, HERE);
}
