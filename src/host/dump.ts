// A machine as a few text files that a person can look through before sending them.

import { err, ok, type Result } from '../nix/result.ts'
import type { Entry, Recording } from './source.ts'
import { type Reduced, withoutIdentity } from './withoutIdentity.ts'

const HEAD = '# A machine as "vfio-patch scan --dump" saw it.'

/**
 * The texts of a dump, by file name: one for each folder of the root that was read (`sys.txt`,
 * `proc.txt`, …). What would tell one machine of a kind from another is left out or replaced: serial
 * numbers, UUIDs, hardware addresses, names that people gave.
 *
 * A line is `PATH = TEXT`, `PATH -> TARGET` of a link, or `PATH/` of a folder in which nothing was
 * read; the lines of a longer text follow `PATH =`, each behind a tab.
 */
export function formatDump(recording: Recording): Map<string, string> {
  return makeDump(recording).texts
}

/** The same, and how many names of each kind have placeholders in it. */
export function makeDump(recording: Recording): {
  texts: Map<string, string>
  replaced: Reduced['replaced']
} {
  const reduced = withoutIdentity(recording)
  const entries = [...reduced.recording].sort(([a], [b]) => (a < b ? -1 : 1))
  const files = new Map<string, string[]>()
  for (const [i, [path, entry]] of entries.entries()) {
    const next = entries[i + 1]?.[0]
    if (entry === 'folder' && next?.startsWith(`${path}/`)) continue
    // A line ends a path at its first blank; nothing that is read has one in its path.
    if (/\s/.test(path)) continue
    const name = `${path.split('/')[1]}.txt`
    const lines = files.get(name) ?? [HEAD]
    lines.push(...linesOf(path, entry))
    files.set(name, lines)
  }
  const texts = new Map([...files].map(([name, lines]) => [name, `${lines.join('\n')}\n`]))
  return { texts, replaced: reduced.replaced }
}

function linesOf(path: string, entry: Entry): string[] {
  if (entry === 'folder') return [`${path}/`]
  if ('link' in entry) return [`${path} -> ${entry.link}`]
  const text = entry.text.replace(/\n$/, '')
  return text.includes('\n')
    ? [`${path} =`, ...text.split('\n').map(it => `\t${it}`)]
    : [`${path} = ${text}`]
}

/** Reads the texts of a dump again; the error is the first line that is none of a dump. */
export function parseDump(texts: Iterable<string>): Result<Recording, string> {
  const recording: Recording = new Map()
  for (const text of texts) {
    let long: string | undefined
    for (const line of text.split('\n')) {
      if (line.startsWith('\t') && long !== undefined) {
        const before = recording.get(long)
        const more = typeof before === 'object' && 'text' in before ? before.text : ''
        recording.set(long, { text: `${more}${line.slice(1)}\n` })
        continue
      }
      long = undefined
      if (line === '' || line.startsWith('#')) continue
      const found = /^(\/\S*?)(?: = (.*)|( =)| -> (.*)|(\/))$/.exec(line)
      const [, path, content, begins, link] = found ?? []
      if (path === undefined) return err(line)
      if (begins !== undefined) long = path
      recording.set(
        path,
        link !== undefined
          ? { link }
          : content !== undefined
            ? { text: `${content}\n` }
            : begins !== undefined
              ? { text: '' }
              : 'folder'
      )
    }
  }
  return ok(recording)
}
