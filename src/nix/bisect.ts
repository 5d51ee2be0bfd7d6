/**
 * The first index of a sorted list that something holds for, where it then holds for all behind it;
 * `length` if it holds for none.
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
