const TEMPORARY = /^\..+\.vfio-patch\.[0-9a-f]{12}\.tmp$/
const OWN = /^\.vfio-patch\.(lock(\.[0-9a-f]{12})?|journal(\.new)?)$/

/** Whether a name is one that a run has beside the files only while it lasts, or was interrupted. */
export function isTrace(name: string): boolean {
  return TEMPORARY.test(name) || OWN.test(name)
}
