import { InvalidArgumentError } from 'commander';
import { z } from 'zod';

/** A field of a file with text that an option's parser takes. */
export function parsed<T>(parse: (text: string) => T): z.ZodType<T> {
  // YAML has a port alone as a number.
  return z.union([z.string(), z.number()]).transform((value, context) => {
    try {
      return parse(String(value));
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  });
}
