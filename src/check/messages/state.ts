// The reasons for verdicts, as clauses, and the names of what the configuration requests.

export const LATEST_BUILD = 'the latest build'

export const BECAUSE = {
  notOffered: 'the firmware does not offer it',
  notTurnedOn: 'the configuration does not turn it on with intel_iommu=on',
  noGroups: 'the kernel created no groups',
  kernelNotPatched: 'the running kernel lacks the patch for it',
  logIncomplete: 'the start of the kernel log, which would show this, is lost',
  logUnreadable: 'this is visible only in the kernel log, which only root may read',
  moduleNotLoaded: 'it is not loaded',
  virtualAtBoot: 'a virtual function is created only after devices are bound'
} as const

/** `entry` is the boot entry that should run; empty for the default boot entry. */
export function otherEntryRuns(entry: string): string {
  return entry === '' ? 'another boot entry runs' : `the boot entry "${entry}" does not run`
}

export function groupCount(count: number): string {
  return `${count} ${count === 1 ? 'group' : 'groups'}`
}

export function deviceNotThere(kind: 'id' | 'address'): string {
  return `this machine has no device with that ${kind === 'id' ? 'ID' : 'address'}`
}

export function boundBy(driver: string | undefined): string {
  return driver === undefined ? 'no driver has it' : `${driver} has it`
}

/** The driver keeps the device until a guest takes it. */
export function boundUntilGuest(driver: string | undefined): string {
  return `${boundBy(driver)} until a guest starts`
}

export function pagesName(count: number, size: string): string {
  return `${count} huge pages of ${size}`
}

export function pagesReserved(count: number): string {
  return `${count} are reserved`
}

export function tooFewPagesReserved(count: number): string {
  return `only ${count} are reserved`
}
