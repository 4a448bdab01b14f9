import { isBreakdown } from '@ringwire/guest-drivers';
import { VirtioError } from '@ringwire/virtio-spec';
import type { VendorCard } from './function-parent.js';

/** Ask the first function of a card what its devices have. @throws VirtioError when it does not come up */
export function probeCard(card: VendorCard): { queues: number; features: Uint32Array } {
  const control = card.open(0, card.macOf(0));
  if (isBreakdown(control)) throw new VirtioError('function', control.message, 'one that comes up', card.name);
  const features = control.features();
  control.close();
  if (isBreakdown(features))
    throw new VirtioError('features', (features as { message: string }).message, 'feature words', card.name);
  return { queues: control.facts.queues, features: features as Uint32Array };
}
