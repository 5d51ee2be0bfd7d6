import { debuglog } from 'node:util'
import { visibleLine } from './nix/text/visible.ts'

const log = debuglog('vfio-patch')

/**
 * With NODE_DEBUG=vfio-patch, writes a line to stderr. People attach this to bug reports: a line may contain
 * paths, sizes and counts, but no text of a file and no value of an option.
 */
export function trace(line: string): void {
  if (log.enabled) log('%s', visibleLine(line))
}
