/** Whether recursive functions overflowed the stack. Values are read recursively. */
export function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && /call stack/.test(error.message)
}
