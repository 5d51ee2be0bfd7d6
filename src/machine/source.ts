import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync
} from 'node:fs'
import { join, posix } from 'node:path'

/**
 * Read access to a machine. All paths are absolute paths on that machine. The methods return undefined for anything
 * that is missing or can't be read.
 */
export interface Source {
  /** The text of a file. */
  text(path: string): string | undefined
  /** The names in a folder, sorted. */
  names(path: string): string[] | undefined
  /** The target of a symlink, as written. */
  link(path: string): string | undefined
}

/** The machine whose root folder is `root`; with `/`, the machine that runs vfio-patch. */
export function systemAt(root: string): Source {
  return {
    text: path =>
      orUndefined(() =>
        path === '/dev/kmsg' ? readLog(join(root, path)) : readFileSync(join(root, path), 'utf8')
      ),
    names: path => orUndefined(() => readdirSync(join(root, path)).sort()),
    link: path => orUndefined(() => readlinkSync(join(root, path)))
  }
}

/** A recording of a machine: its entries by path. */
export type Recording = Map<string, RecordingEntry>

export type RecordingEntry = { text: string } | { link: string } | 'folder'

/** The text of a recorded file; undefined for other entries. */
export function recordedText(entry: RecordingEntry | undefined): string | undefined {
  return typeof entry === 'object' && 'text' in entry ? entry.text : undefined
}

/** A source that answers from a recording, as if the parent folders of each entry were recorded, too. */
export function recordedSource(recording: ReadonlyMap<string, RecordingEntry>): Source {
  const folders = new Map<string, Set<string>>()
  for (const [path, entry] of recording) {
    if (entry === 'folder') folderAt(folders, path)
    for (let at = path; at.lastIndexOf('/') > 0; at = at.slice(0, at.lastIndexOf('/'))) {
      const end = at.lastIndexOf('/')
      folderAt(folders, at.slice(0, end)).add(at.slice(end + 1))
    }
  }
  return {
    text: path => recordedText(recording.get(path)),
    names: path => {
      const found = folders.get(path)
      return found && [...found].sort()
    },
    link: path => {
      const found = recording.get(path)
      return typeof found === 'object' && 'link' in found ? found.link : undefined
    }
  }
}

function folderAt(folders: Map<string, Set<string>>, path: string): Set<string> {
  const names = folders.get(path) ?? new Set()
  folders.set(path, names)
  return names
}

/** Wraps a source, and adds to `recording` everything that is read from it. */
export function recordingSource(source: Source, recording: Recording): Source {
  return {
    text: path => {
      const text = source.text(path)
      if (text !== undefined) recording.set(path, { text })
      return text
    },
    names: path => {
      const names = source.names(path)
      // Record each name here, because its file may never be read.
      for (const name of names ?? []) {
        const inner = `${path}/${name}`
        if (!recording.has(inner)) recording.set(inner, 'folder')
      }
      if (names?.length === 0) recording.set(path, 'folder')
      return names
    },
    link: path => {
      const link = source.link(path)
      if (link !== undefined) recording.set(path, { link })
      return link
    }
  }
}

/** Reads the kernel log entry by entry, without waiting for new ones. */
function readLog(path: string): string {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const entry = Buffer.alloc(16_384)
  let text = ''
  try {
    for (let length = 1; length > 0; ) {
      length = readEntry(file, entry)
      text += entry.toString('utf8', 0, length)
    }
  } finally {
    closeSync(file)
  }
  return text
}

function readEntry(file: number, entry: Buffer): number {
  try {
    return readSync(file, entry)
  } catch (error) {
    // EPIPE: newer entries overwrote this one, so read on. Any other error is the end.
    return (error as NodeJS.ErrnoException).code === 'EPIPE' ? readEntry(file, entry) : 0
  }
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** Linux's limit for the symlinks in one path. */
const MAX_LINKS = 40

/** Resolves all symlinks in a path, as far as the source has them. Returns a path with a symlink loop unchanged. */
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
    if (++links > MAX_LINKS) return path
    const next = target.startsWith('/') ? target : posix.join(done, target)
    rest = [...posix.normalize(next).split('/').filter(Boolean), ...rest]
    done = '/'
  }
  return done
}
