import { isBreakdown } from '@ringwire/guest-drivers';

/** @throws Error for a driver that does not come up: none of these has a reason not to */
export function opened<T extends object>(driver: T): Exclude<T, { readonly code: number }> {
  if (isBreakdown(driver)) throw new Error(driver.message);
  return driver as Exclude<T, { readonly code: number }>;
}
