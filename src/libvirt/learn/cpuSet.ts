const PART = /^\s*(?:\^(\d{1,5})|(\d{1,5})\s*(?:-\s*(\d{1,5}))?)\s*$/

/**
 * The numbers that a set such as `0-3,^2,8` stands for, in order: `^2` takes out what stands before it.
 * Undefined for what libvirt takes for none; it lets a comma stand at the end.
 */
export function readCpuSet(text: string): number[] | undefined {
  // More than any machine needs, and not enough to be kept busy with.
  if (text.length > 2048) return undefined
  const all = new Set<number>()
  for (const part of text.replace(/,\s*$/, '').split(',')) {
    const [whole, out, first, last = first] = PART.exec(part) ?? []
    if (whole === undefined || Number(last) < Number(first)) return undefined
    if (out !== undefined) all.delete(Number(out))
    else for (let it = Number(first); it <= Number(last); it++) all.add(it)
  }
  return [...all].sort((a, b) => a - b)
}

/** The numbers as such a set: `0-3,8`. */
export function printCpuSet(numbers: readonly number[]): string {
  const ranges: [first: number, last: number][] = []
  for (const it of [...new Set(numbers)].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last && it === last[1] + 1) last[1] = it
    else ranges.push([it, it])
  }
  return ranges.map(([a, b]) => (a === b ? String(a) : `${a}-${b}`)).join(',')
}
