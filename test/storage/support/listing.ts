import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Lists everything below a folder, a line for each entry: mode, owner unless it is the current user,
 * name, and the content or target.
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

/** The listing; empty if the folder doesn't exist. */
export function listingIfAny(folder: string): string[] {
  return existsSync(folder) ? listing(folder) : []
}
