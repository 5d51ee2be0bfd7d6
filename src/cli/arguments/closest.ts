/**
 * The word that a mistyped or unfinished one most likely stands for, or undefined if none is near.
 */
export function closest(word: string, words: readonly string[]): string | undefined {
  const begun = words.filter(it => it.startsWith(word))
  if (begun.length === 1) return begun[0]
  const most = Math.max(1, Math.floor(word.length / 3))
  const near = words
    .map(it => ({ it, away: distance(word, it) }))
    .filter(({ away }) => away <= most)
    .sort((a, b) => a.away - b.away)
  return near[0]?.it
}

/** How many letters have to be put in, taken out, replaced or swapped with their neighbour. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] ?? 0) + 1)
      }
      row.push(least)
    }
    before = last
    last = row
  }
  return last[b.length] ?? 0
}
