type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** The properties that are not undefined, to spread into an object where they are optional. */
export function defined<T extends object>(properties: T): Defined<T> {
  const known = Object.entries(properties).filter(([, value]) => value !== undefined)
  return Object.fromEntries(known) as Defined<T>
}

/** The first item with each key. */
export function uniqueBy<T>(items: readonly T[], keyOf: (item: T) => unknown): T[] {
  const known = new Set<unknown>()
  return items.filter(item => {
    const key = keyOf(item)
    const isFirst = !known.has(key)
    known.add(key)
    return isFirst
  })
}

/** The items by key, in the order of each key's first item. */
export function groupBy<K, T>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return groups
}
