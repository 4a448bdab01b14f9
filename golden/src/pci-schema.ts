import { z } from 'zod';

/** What `golden/sets/README.md` says of PCI configuration spaces. */

const Hex = z.string().regex(/^0x[0-9a-f]+$/i, 'want a hex number, such as 0xfe480000');
const Address = Hex.transform((text) => BigInt(text));
const Count = z.number().int().min(0);
const CountText = z.string().regex(/^\d+$/, 'want a decimal number').transform(Number);

const PciDevice = z.object({
  bdf: z.string().regex(/^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/, 'want domain:bus:device.function'),
  offset: Count,
  length: z.union([z.literal(256), z.literal(4096)]),
  /** First and last address, and the kernel's flags: BARs, ROM, VF BARs, windows of bridges. */
  resource: z.array(z.tuple([Address, Address, Hex.transform(Number)])).min(13),
  class: Hex.transform(Number),
  revision: Hex.transform(Number),
  msi_irqs: Count,
  lspci_capabilities: z.array(
    z.object({ offset: Count, text: z.string(), version: Count.optional(), extended: z.literal(true).optional() }),
  ),
  lspci_first_line: z.string(),
  sriov_totalvfs: CountText.optional(),
  sriov_numvfs: CountText.optional(),
  sriov_offset: CountText.optional(),
  sriov_stride: CountText.optional(),
  sriov_vf_device: z
    .string()
    .regex(/^[0-9a-f]{1,4}$/, 'want a hex number without 0x')
    .optional(),
  max_link_speed: z.string().optional(),
  max_link_width: z.string().optional(),
  current_link_speed: z.string().optional(),
  current_link_width: z.string().optional(),
});
export type PciDevice = z.infer<typeof PciDevice>;

export const PciSetExpectation = z.object({ devices: z.array(PciDevice).min(1) });
