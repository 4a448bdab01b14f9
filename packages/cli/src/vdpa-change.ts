import { writeFileSync } from 'node:fs';
import { extname } from 'node:path';
import { isVdpaRefusal, type VdpaAttributes, type VdpaRefusal } from '@ringwire/vdpa';
import { InvalidArgumentError } from 'commander';
import { parseDocument, type YAMLSeq } from 'yaml';
import { macAddress } from './nic-names.js';
import { contentOf, textOf } from './serve-file.js';
import { UnusableInput } from './terminal.js';
import { openVdpaSystem } from './vdpa-system.js';

/** What the file keeps of a device that was added, with the words of `vdpa dev add`. */
interface KeptDevice {
  readonly name: string;
  readonly mgmtdev: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly max_vqp?: number;
}

/**
 * `dev add name NAME mgmtdev DEV [ mac MAC ] [ mtu MTU ] [ max_vqp N ]`: words in any order, as with iproute2.
 * @returns undefined when these are not such words
 */
export function addedDevice(words: readonly string[]): KeptDevice | undefined {
  const values = new Map<string, string>();
  for (let at = 0; at < words.length; at += 2) {
    const [key, value] = [words[at]!, words[at + 1]];
    if (value === undefined || values.has(key)) return undefined;
    values.set(key, value);
  }
  const { name, mgmtdev, mac, mtu, max_vqp: pairs, ...others } = Object.fromEntries(values) as Record<string, string>;
  const isNumber = (text: string | undefined): boolean => text === undefined || /^[0-9]{1,5}$/.test(text);
  if (name === undefined || mgmtdev === undefined || Object.keys(others).length > 0) return undefined;
  if (!isNumber(mtu) || !isNumber(pairs)) return undefined;
  return {
    name,
    mgmtdev,
    ...(mac === undefined ? {} : { mac }),
    ...(mtu === undefined ? {} : { mtu: Number(mtu) }),
    ...(pairs === undefined ? {} : { max_vqp: Number(pairs) }),
  };
}

/**
 * Add a device to the system of a file, where it can be made, and so to the file.
 * @throws UnusableInput for a file or an address that cannot be used
 */
export async function addDevice(path: string, device: KeptDevice): Promise<VdpaRefusal | undefined> {
  const made = (await openVdpaSystem(path)).add(device.name, device.mgmtdev, attributesOf(device));
  if (isVdpaRefusal(made)) return made;
  change(path, (devices) => devices.add(device));
  return undefined;
}

/** Take a device out of the system of a file, and so out of the file. */
export async function deleteDevice(path: string, name: string): Promise<VdpaRefusal | undefined> {
  const bus = await openVdpaSystem(path);
  const at = bus.devices.findIndex((device) => device.name === name);
  const refusal = bus.remove(name);
  // The file's devices are the system's, in their order.
  if (refusal === undefined) change(path, (devices) => devices.delete(at));
  return refusal;
}

function attributesOf({ mac, mtu, max_vqp: maxPairs }: KeptDevice): VdpaAttributes {
  return {
    ...(mac === undefined ? {} : { mac: addressOf(mac) }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(maxPairs === undefined ? {} : { maxPairs }),
  };
}

function addressOf(text: string): Uint8Array {
  try {
    return macAddress(text);
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw new UnusableInput(`mac is ${text}. ${error.message}`);
    throw error;
  }
}

/** Comments and the order of everything stay as they are. The file was read before, and is what it has to be. */
function change(path: string, act: (devices: YAMLSeq) => void): void {
  const text = textOf(path);
  contentOf(path, text);
  const document = parseDocument(text);
  act(document.get('devices') as YAMLSeq);
  const isJson = extname(path) === '.json';
  const written = isJson ? `${JSON.stringify(document.toJS(), undefined, 2)}\n` : document.toString();
  try {
    writeFileSync(path, written);
  } catch (error) {
    throw new UnusableInput(`${path} cannot be written: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
}
