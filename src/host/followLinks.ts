import { posix } from 'node:path'
import type { Source } from './source.ts'

// As many as Linux follows.
const MOST_LINKS = 40

/**
 * Where a path leads to on a machine, with every link on the way resolved as far as the source knows of links.
 * A path that goes in circles comes back as it is.
 */
export function followLinks(source: Source, path: string): string {
  let done = '/'
  let rest = posix.normalize(path).split('/').filter(Boolean)
  let links = 0
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    const at = posix.join(done, name)
    const target = source.link(at)
    if (target === undefined) {
      done = at
      continue
    }
    if (++links > MOST_LINKS) return path
    const next = target.startsWith('/') ? target : posix.join(done, target)
    rest = [...posix.normalize(next).split('/').filter(Boolean), ...rest]
    done = '/'
  }
  return done
}
