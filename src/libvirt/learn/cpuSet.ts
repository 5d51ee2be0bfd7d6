/** The numbers that a set such as `0-3,^2,8` stands for, in order; undefined for what is none. */
export function readCpuSet(text: string): number[] | undefined {
  // More than any machine needs, and not enough to be kept busy with.
  if (text.length > 2048) return undefined
  const all = new Set<number>()
  for (const part of text.replace(/\s/g, '').split(',')) {
    const found = /^(\^?)(\d{1,5})(?:-(\d{1,5}))?$/.exec(part)
    if (!found) return undefined
    const first = Number(found[2])
    const last = Number(found[3] ?? first)
    if (last < first || (found[1] === '^' && found[3] !== undefined)) return undefined
    for (let it = first; it <= last; it++) found[1] === '^' ? all.delete(it) : all.add(it)
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
