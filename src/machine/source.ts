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
 * What a machine can be asked. All paths are absolute, as on the machine itself. What isn't there
 * and what may not be read is undefined alike.
 */
export interface Source {
  /** The text of a file. */
  text(path: string): string | undefined
  /** The names in a folder, sorted. */
  names(path: string): string[] | undefined
  /** Where a link points to, as it is written in it. */
  link(path: string): string | undefined
}

/** The machine whose file system lies at `root`: `/` for the one that this runs on. */
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

/** What is known of a machine: by path the text of a file, the target of a link, or a folder. */
export type Recording = Map<string, Entry>

export type Entry = { text: string } | { link: string } | 'folder'

/** The text of a file that was recorded. */
export function recordedText(entry: Entry | undefined): string | undefined {
  return typeof entry === 'object' && 'text' in entry ? entry.text : undefined
}

/** A machine that answers from what was recorded. Folders are there where something in them is. */
export function recordedSource(recording: ReadonlyMap<string, Entry>): Source {
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

/** The same source; all that it answers goes into `recording` as well. */
export function recordingSource(source: Source, recording: Recording): Source {
  return {
    text: path => {
      const text = source.text(path)
      if (text !== undefined) recording.set(path, { text })
      return text
    },
    names: path => {
      const names = source.names(path)
      // A name that nobody asks more about has to be known all the same.
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

/** The log of the kernel, one entry at a time, up to where a reader would wait for the next. */
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
    // Entries that were lost to newer ones are passed over; any other error is the end.
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

// As many as Linux follows.
const MAX_LINKS = 40

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
    if (++links > MAX_LINKS) return path
    const next = target.startsWith('/') ? target : posix.join(done, target)
    rest = [...posix.normalize(next).split('/').filter(Boolean), ...rest]
    done = '/'
  }
  return done
}
