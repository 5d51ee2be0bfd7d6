/**
 * The first index for which `holds` is true, by binary search; `length` if there is none. `holds` must
 * be true for all later indexes.
 */
export function bisect(length: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}
