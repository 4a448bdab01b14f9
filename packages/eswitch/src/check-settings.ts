import { VirtioError } from '@ringwire/virtio-spec';
import { isGroupMac, isMac, isZeroMac } from './mac-address.js';
import type { PortSettings, PortWishes } from './port-settings.js';

/** Addresses that one port may list of each kind. */
const PORT_ADDRESSES = 256;
const HASH_WORDS = 128;
const LONGEST_FRAME = { min: 64, max: 65_553 } as const;
const VLAN_MAX = 4094;
/** Mbit/s: a Tbit/s. */
const RATE_MAX = 1_000_000;

type Check = (value: unknown) => string | undefined;

const isBoolean: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false');
const integer =
  (min: number, max: number): Check =>
  (value) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max
      ? undefined
      : `an integer from ${min} to ${max}`;

const vlanSet: Check = (value) => {
  if (value === 'all') return undefined;
  if (value instanceof Set && [...value].every((id) => integer(1, VLAN_MAX)(id) === undefined)) return undefined;
  return `'all' or a set of integers from 1 to ${VLAN_MAX}`;
};

const macList =
  (isGroup: boolean): Check =>
  (value) => {
    const isGood =
      Array.isArray(value) &&
      value.length <= PORT_ADDRESSES &&
      value.every((mac) => isMac(mac) && isGroupMac(mac) === isGroup && !isZeroMac(mac));
    return isGood ? undefined : `at most ${PORT_ADDRESSES} ${isGroup ? 'group' : 'station'} addresses of 6 bytes`;
  };

const portVlan: Check = (value) => {
  if (value === undefined) return undefined;
  const { id, priority, protocol } = (value ?? {}) as Record<string, unknown>;
  const isGood =
    integer(1, VLAN_MAX)(id) === undefined &&
    integer(0, 7)(priority) === undefined &&
    (protocol === 0x8100 || protocol === 0x88a8);
  return isGood ? undefined : `an id from 1 to ${VLAN_MAX}, a priority from 0 to 7, and protocol 0x8100 or 0x88a8`;
};

const multicastHash: Check = (value) => {
  if (value === undefined) return undefined;
  const { table, offset } = (value ?? {}) as Record<string, unknown>;
  const isGood = table instanceof Uint32Array && table.length === HASH_WORDS && integer(0, 3)(offset) === undefined;
  return isGood ? undefined : `a table of ${HASH_WORDS} words and an offset from 0 to 3`;
};

const WISHES: Record<keyof PortWishes, Check> = {
  mac: (value) => (isMac(value) && !isGroupMac(value) ? undefined : 'a station address of 6 bytes'),
  unicast: macList(false),
  multicast: macList(true),
  multicastHash,
  promiscuous: isBoolean,
  allMulticast: isBoolean,
  broadcast: isBoolean,
  vlans: vlanSet,
  untagged: isBoolean,
  longestFrame: integer(LONGEST_FRAME.min, LONGEST_FRAME.max),
};

const SETTINGS: Record<keyof PortSettings, Check> = {
  ...WISHES,
  allowedVlans: vlanSet,
  portVlan,
  trusted: isBoolean,
  checkMac: isBoolean,
  checkVlan: isBoolean,
  hairpin: isBoolean,
  maxTxRate: integer(0, RATE_MAX),
  minTxRate: integer(0, RATE_MAX),
  link: (value) =>
    value === 'auto' || value === 'enable' || value === 'disable' ? undefined : "'auto', 'enable' or 'disable'",
};

/** @throws VirtioError for what cannot be, naming the setting */
export function checkSettings(changes: Partial<PortSettings>, before: PortSettings): void {
  for (const [name, value] of Object.entries(changes)) {
    const check = SETTINGS[name as keyof PortSettings] as Check | undefined;
    const wanted = check === undefined ? 'a setting that there is' : check(value);
    if (wanted !== undefined) throw new VirtioError(name, shown(value), wanted, 'EswitchPort.configure');
  }
  const { maxTxRate, minTxRate } = { ...before, ...changes };
  if (maxTxRate > 0 && minTxRate > maxTxRate)
    throw new VirtioError('minTxRate', minTxRate, `at most maxTxRate, ${maxTxRate}`, 'EswitchPort.configure');
}

/** What is wrong with a wish, which is foreign. */
export function wishFault(wishes: object): { setting: keyof PortWishes; wanted: string } | undefined {
  for (const [name, value] of Object.entries(wishes)) {
    const setting = name as keyof PortWishes;
    if (!Object.hasOwn(WISHES, setting)) return { setting, wanted: 'a setting that a function may ask for' };
    const wanted = WISHES[setting](value);
    if (wanted !== undefined) return { setting, wanted };
  }
  return undefined;
}

function shown(value: unknown): string | number {
  return typeof value === 'number' ? value : String(value);
}

/** A copy that the caller cannot change later. */
export function copySettings<T extends Partial<PortSettings>>(settings: T): T {
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(settings)) copy[name] = copyOf(value);
  return copy as T;
}

function copyOf(value: unknown): unknown {
  if (value instanceof Uint8Array || value instanceof Uint32Array) return value.slice();
  if (value instanceof Set) return new Set(value);
  if (Array.isArray(value)) return value.map(copyOf);
  return typeof value === 'object' && value !== null ? copySettings(value) : value;
}
