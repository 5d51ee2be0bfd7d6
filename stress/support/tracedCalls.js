// The system calls of a command on the machine's folders, from the log of strace.
import { readFileSync } from 'node:fs'

const CHANGING =
  /^(mkdir|rmdir|open|write|pwrite64|f?chmod|f?chown|fsync|utimensat|symlink|rename|unlink)/

/** The flags that make strace trace only the paths of a machine; these are in a log of strace with `-y`. */
export function watchedIn(log, { work, nixos, state }) {
  const paths = new Set([nixos, state])
  for (const [, path = ''] of readFileSync(log, 'utf8').matchAll(/[<"](\/[^>"]+)[>"]/g))
    if (path.startsWith(`${work}/`)) paths.add(path)
  return [...paths].flatMap(path => ['-P', path])
}

/**
 * The calls of the main thread in order: the name, the number among calls with this name, whether the call
 * changes the disk, and whether it only reads.
 */
export function callsIn(log) {
  const lines = readFileSync(log, 'utf8').split('\n')
  const main = lines[0]?.split(' ')[0]
  const counts = new Map()
  return lines.flatMap(line => {
    const call = /^\d+ +(\w+)\(/.exec(line)?.[1]
    if (call === undefined || line.split(' ')[0] !== main) return []
    const nth = (counts.get(call) ?? 0) + 1
    counts.set(call, nth)
    const opens = call === 'openat' && !line.includes('O_CREAT')
    const reads = opens || ['read', 'pread64', 'close', 'readlink'].includes(call)
    return [{ call, nth, changes: CHANGING.test(call) && !opens, reads }]
  })
}
