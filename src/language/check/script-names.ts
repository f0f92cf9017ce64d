/** What a script sets on `$`, as far as its text shows it: for warnings, so a guess is enough. */

/**
 * Comments and strings are matched first, so that nothing inside them counts; each is taken to the end
 * of the text or line where it is not closed, so that no part is read twice.
 */
const part = new RegExp(
  [
    String.raw`\/\*[^]*?(?:\*\/|$)|\/\/.*`,
    String.raw`(["'])(?:\\.|(?!\1)[^\\\n])*\1?`,
    String.raw`(?<![\w$.])\$\s*(?:\.\s*([\w$\u0080-\uffff]+)|\[\s*(?:(["'\x60])([^\n]{0,64}?)\3|(\d+))\s*\])` +
      String.raw`\s*(?:(?:[-+*/%&|^]|\*\*|<<|>>>?|&&|\|\||\?\?)?=(?![=>])|\+\+|--)`,
  ].join("|"),
  "g",
);

/** Names of the properties that are assigned directly on `$`, as in `$.total = 5` or `$["1"] += 1`. */
export function assignedNames(expression: string): ReadonlySet<string> {
  const names = [...expression.matchAll(part)].map(([, , dotted, , quoted, index]) => {
    return dotted ?? quoted ?? index;
  });
  return new Set(names.filter((name) => name !== undefined));
}
