import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Everything below a folder, a line each: mode, owner where it isn't the one who runs the tests,
 * name, and the content or the target.
 */
export function listing(folder: string, below = ''): string[] {
  const names = readdirSync(join(folder, below)).sort()
  return names.flatMap(name => {
    const path = join(below, name)
    const stat = lstatSync(join(folder, path))
    const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0')
    const isOwn = stat.uid === process.getuid?.() && stat.gid === process.getgid?.()
    const head = isOwn ? mode : `${mode} ${stat.uid}:${stat.gid}`
    if (stat.isDirectory()) return [`${head} ${path}/`, ...listing(folder, path)]
    if (stat.isSymbolicLink()) return [`${path} -> ${readlinkSync(join(folder, path))}`]
    return [`${head} ${path}: ${readFileSync(join(folder, path), 'utf8').trimEnd()}`]
  })
}

/** The same; no lines where there is no such folder. */
export function listingIfAny(folder: string): string[] {
  return existsSync(folder) ? listing(folder) : []
}
