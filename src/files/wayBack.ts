import { tried } from './attempt.ts'

/** How to take back what was done so far. */
export interface WayBack {
  /**
   * Remembers how to take back what is about to be done to `path`. `back` says whether all of it is
   * gone, may fail with a system error, and must be right also when the thing was never done.
   */
  add(path: string, back: () => boolean): void
  /** Takes everything back, the last thing first, and returns the paths where that failed. */
  go(): string[]
  /** From here there is no way back: forgets everything, and returns the paths. */
  close(): string[]
}

export function createWayBack(): WayBack {
  const steps: { path: string; back: () => boolean }[] = []
  return {
    add: (path, back) => {
      steps.push({ path, back })
    },
    go: () =>
      steps
        .splice(0)
        .reverse()
        .filter(({ back }) => !isBack(back))
        .map(({ path }) => path),
    close: () => steps.splice(0).map(({ path }) => path)
  }
}

function isBack(back: () => boolean): boolean {
  let gone = false
  tried(() => {
    gone = back()
  })
  return gone
}
