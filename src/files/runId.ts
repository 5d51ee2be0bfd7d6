const FORM = /^\d{8}-\d{6}-(\d+)$/

/** Whether the name of a folder is that of a run. */
export function isRunId(name: string): boolean {
  return FORM.test(name)
}

/** The number at the end of a run's name; 0 for any other name. */
export function runNumber(name: string): number {
  return Number(FORM.exec(name)?.[1] ?? 0)
}

/** Orders runs from the oldest to the newest: by number, as clocks go back. */
export function compareRunIds(a: string, b: string): number {
  return runNumber(a) - runNumber(b) || (a < b ? -1 : a > b ? 1 : 0)
}
