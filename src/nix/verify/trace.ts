import { debuglog } from 'node:util'

const log = debuglog('vfio-patch')

/** The checks of `verify`, in order, and the check of the returned list of edits. */
export type Step =
  | 'syntax'
  | 'workarounds'
  | 'module'
  | 'differences'
  | 'operands'
  | 'variables'
  | 'scope'
  | 'comments'
  | 'duplicates'
  | 'definitions'
  | 'edits'

/**
 * With NODE_DEBUG=vfio-patch, writes to stderr which check refused a result and why. `reason` must not
 * contain text of the document.
 */
export function traceRefusal(step: Step, reason: string): void {
  log('verification refused by %s: %s', step, reason)
}
