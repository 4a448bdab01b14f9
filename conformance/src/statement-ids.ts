// Role, area and clause, then one number or several; a comma may be followed by the next number alone.
const REFERENCE = /(?<![\w.-])(?:dev|drv)\.[a-z]+\.[\w.-]+(?:,\s?\.\d+(?!\w))*/g;
const WELL_FORMED = /^((?:dev|drv)\.[a-z]+\.[a-z0-9-]+)\.(\d+)$/;

/**
 * The statement ids in a test's title, each once, in order. The compact form `role.area.clause.1,.2,.4` gives three.
 * What looks like an id but is none (number missing, underscore for hyphen) comes back as written, so that looking it
 * up fails with its name.
 */
export function statementIdsIn(title: string): string[] {
  const ids = new Set<string>();
  for (const [reference] of title.matchAll(REFERENCE)) {
    const [head, ...more] = reference.split(/,\s?/);
    const first = head!.replace(/[.-]+$/, '');
    ids.add(first);
    const clause = WELL_FORMED.exec(first)?.[1];
    for (const number of more) ids.add(`${clause ?? first}${number}`);
  }
  return [...ids];
}

/** The well-formed statement ids anywhere in a text, such as a test file's source. */
export function statementIdsInSource(source: string): string[] {
  return statementIdsIn(source).filter((id) => WELL_FORMED.test(id));
}
