const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  ...Object.fromEntries(
    ['k', 'm', 'g', 't', 'p', 'e'].flatMap((it, i) => [
      [it, 1024 ** (i + 1)],
      [`${it}ib`, 1024 ** (i + 1)],
      [`${it}b`, 1000 ** (i + 1)]
    ])
  )
}

/** A size as libvirt reads it, in KiB and rounded up; `unit` is what it has where it names none. */
export function readSize(text: string, unit = 'KiB'): number | undefined {
  const factor = UNITS[unit.toLowerCase()]
  if (!/^\s*\d+\s*$/.test(text) || factor === undefined) return undefined
  const size = Math.ceil((Number(text) * factor) / 1024)
  return Number.isSafeInteger(size) ? size : undefined
}
