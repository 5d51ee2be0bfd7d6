/**
 * The toolkit's advice as it makes sense in a shell: a program can hand over the one definition
 * that it means, a person goes to its line in an editor.
 */
export function hintForPeople(hint: string, file: string, line: number): string {
  return hint
    .replace(/, or choose this definition$/, `, or edit line ${line} of ${file} by hand`)
    .replace(/, or choose one of them$/, ', then run this again')
    .replace(/^give each line as a string.*/, 'give lines, each as one value, with --string')
    .replace(
      /^set the whole string, or pass \{ lines: true \}/,
      'set the whole string with "option set", or add --lines'
    )
    .replace(/^omit \{ lines: true \}/, 'omit --lines')
    .replace(/^(?=if it is an argument)/, 'text needs quotes of its own, or --string;\n')
}
