import { lstatSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { tried } from './attempt.ts'

/**
 * One line of /proc/self/mountinfo: the part `root` of the file system `device` shows at `point`.
 */
export interface Mount {
  device: string
  root: string
  point: string
}

/**
 * The mounts in the text of /proc/self/mountinfo, in its order. Lines of another form are left out.
 */
export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap(line => {
    const [, , device, root, point] = line.split(' ')
    if (device === undefined || root === undefined || point === undefined) return []
    return [{ device, root: unescapeOctal(root), point: unescapeOctal(point) }]
  })
}

/**
 * The paths under which the file that is mounted on `point` may be found elsewhere, by the other
 * mounts of the same file system; those of the longest mount root (the nearest) come first. Empty
 * when nothing is mounted on exactly `point`.
 */
export function otherPaths(mounts: Mount[], point: string): string[] {
  const mounted = mounts.findLast(mount => mount.point === point)
  if (mounted === undefined) return []
  const points = new Set(mounts.map(mount => mount.point))
  return mounts
    .filter(({ device, point: other }) => device === mounted.device && other !== point)
    .filter(({ root }) => isBelow(mounted.root, root))
    .sort((a, b) => b.root.length - a.root.length)
    .map(mount => posix.join(mount.point, posix.relative(mount.root, mounted.root)))
    .filter(path => !points.has(path))
}

/**
 * Whether a file system or a single file is mounted on exactly `path`. False where the system has
 * no /proc.
 */
export function isMountPoint(path: string): boolean {
  return readMounts().some(mount => mount.point === path)
}

/**
 * Another path of the file mounted on `path`, checked to be that very file; null when there is
 * none.
 */
export function bindSource(path: string): string | null {
  return otherPaths(readMounts(), path).find(other => isSameFile(path, other)) ?? null
}

function readMounts(): Mount[] {
  let text = ''
  tried(() => {
    text = readFileSync('/proc/self/mountinfo').toString()
  })
  return parseMounts(text)
}

function isSameFile(path: string, other: string): boolean {
  let same = false
  tried(() => {
    const [a, b] = [lstatSync(path), lstatSync(other)]
    same = a.dev === b.dev && a.ino === b.ino
  })
  return same
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`)
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 8))
  )
}
