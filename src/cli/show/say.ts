/** A line for the person; stdout is for what programs read. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
