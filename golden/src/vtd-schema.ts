import type { VtdExpectation } from '@ringwire/iommu/testing';
import { z } from 'zod';

/**
 * What `golden/sets/README.md` says of VT-d tables. Numbers stay the text they are, for the checks of
 * `@ringwire/iommu/testing`; here it is made certain that they are numbers and that nothing to compare is missing.
 */

const Hex64 = z.string().regex(/^0x[0-9a-f]{1,16}$/i, 'want a hex number of at most 64 bits, such as 0x5452000');
const SourceId = z.number().int().min(0).max(0xffff);

const ProbeFields = z.object({
  sid: SourceId,
  iova: Hex64,
  access: z.enum(['read', 'write']),
  result: z.enum(['ok', 'pass-through', 'fault', 'blocked', 'interrupt-range']),
  pa: Hex64.optional(),
  page_mask: Hex64.optional(),
  reason: z.number().int().min(0).max(0xff).optional(),
  frcd_hi: Hex64.optional(),
  frcd_lo: Hex64.optional(),
  fsts: Hex64.optional(),
});

/** A result without its particulars would agree with almost anything. */
const isWhole = ({ result, pa, reason }: z.infer<typeof ProbeFields>): boolean =>
  (result !== 'ok' || pa !== undefined) && (result !== 'fault' || reason !== undefined);
const WHOLE = 'want pa with the result ok, and reason with fault';

const Probe = ProbeFields.refine(isWhole, WHOLE);
const Mutation = ProbeFields.extend({
  name: z.string(),
  edits: z.array(z.object({ gpa: Hex64, qword: Hex64 })),
}).refine(isWhole, WHOLE);

export const VtdSetExpectation: z.ZodType<VtdExpectation> = z
  .object({
    capture: z.object({ iommu: z.string().optional(), qemu: z.string().optional() }).optional(),
    source_id: SourceId.optional(),
    registers: z.record(
      z.string(),
      z.object({ offset: Hex64, size: z.union([z.literal(4), z.literal(8)]), value: Hex64 }),
    ),
    devices: z
      .array(z.object({ source_id: SourceId, domain: z.number().int().min(0).max(0xffff).optional() }))
      .optional(),
    probes: z.array(Probe).optional(),
    mutations: z.array(Mutation).optional(),
    kernel_maps: z
      .object({ live: z.array(z.tuple([Hex64, Hex64])).optional(), unmapped_before: z.array(Hex64).optional() })
      .optional(),
    vfio_maps: z
      .object({
        list: z.array(z.tuple([Hex64, Hex64, Hex64, z.number().int().min(1).max(3), z.string().optional()])),
      })
      .optional(),
    live_translations: z.object({ list: z.array(z.tuple([SourceId, Hex64, Hex64, Hex64])) }).optional(),
  })
  .refine(
    ({ source_id, kernel_maps, vfio_maps }) => source_id !== undefined || (kernel_maps ?? vfio_maps) === undefined,
    {
      path: ['source_id'],
      message: 'want the source id that the mappings are for',
    },
  );
