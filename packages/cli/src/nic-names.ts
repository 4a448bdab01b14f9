import { InvalidArgumentError } from 'commander';

/** Numbers of a card's ports: `wire`, `pf`, and `vf0` for the first virtual function. */
const FIRST_VF = 2;

/** @param vfs how many there are. @throws InvalidArgumentError for a port that there is not */
export function portNumber(name: string, vfs: number): number {
  if (name === 'wire') return 0;
  if (name === 'pf') return 1;
  const vf = /^vf(\d{1,4})$/.exec(name)?.[1];
  if (vf === undefined || Number(vf) >= vfs)
    throw new InvalidArgumentError(`No port is called ${name}. Want wire, pf, or vf0 to vf${vfs - 1}.`);
  return FIRST_VF + Number(vf);
}

export function portName(number: number): string {
  return number === 0 ? 'wire' : number === 1 ? 'pf' : `vf${number - FIRST_VF}`;
}

/** `02:00:00:00:00:01`. @throws InvalidArgumentError */
export function macAddress(text: string): Uint8Array {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text))
    throw new InvalidArgumentError('Want an address such as 02:00:00:00:00:01.');
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

/** Of the device of a number, unless it is given another one. */
export const defaultMac = (index: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, (index + 1) >>> 8, index + 1);

export const macText = (mac: Uint8Array): string =>
  Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');

/** Bytes of a frame in hexadecimal, with or without something between them. @throws InvalidArgumentError */
export function frameOf(text: string): Uint8Array {
  const digits = text.replace(/[\s:.-]/g, '');
  if (digits === '' || digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits))
    throw new InvalidArgumentError('Want hexadecimal bytes, from the destination address on.');
  return Uint8Array.from(digits.match(/../g)!, (byte) => Number.parseInt(byte, 16));
}
