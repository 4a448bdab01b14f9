/** A data file or an option that cannot be worked with: the run ends at once, with exit code 2. */
export class UnusableInput extends Error {
  override readonly name = 'UnusableInput';
}
