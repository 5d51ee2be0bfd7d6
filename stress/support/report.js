// Counting and printing for all stress runs.

/** Counts by name. */
export class Counts extends Map {
  add(name, by = 1) {
    this.set(name, (this.get(name) ?? 0) + by)
  }
}

/** Prints a line of a table: a name, and values to the right. */
export function row(name, ...values) {
  console.log(name.padEnd(44) + values.map(it => String(it).padStart(10)).join(''))
}

/** A table in Markdown. The first column is aligned to the left, the others to the right. */
export function table(head, rows) {
  const all = [head, ...rows]
  const widths = head.map((_, i) => Math.max(...all.map(it => it[i].length)))
  const line = cells =>
    `| ${cells.map((it, i) => (i === 0 ? it.padEnd(widths[i]) : it.padStart(widths[i]))).join(' | ')} |`
  const rule = widths.map((it, i) => (i === 0 ? '-'.repeat(it) : `${'-'.repeat(it - 1)}:`))
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}

/** Prints the faults, one per line, and sets the exit code to 1 if there are any. */
export function finish(faults, what = 'wrong') {
  console.log(`\n${faults.length} ${what}`)
  for (const it of faults) console.log(it)
  process.exitCode = faults.length > 0 ? 1 : 0
}

/** Waits for a turn of the event loop, after which Node frees the trees of the parser. */
export function turn() {
  return new Promise(resolve => setImmediate(resolve))
}
