// A machine as a few text files that a person can look through before sending them.

import { groupBy } from '../../collections.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { type Entry, type Recording, recordedText } from '../source.ts'
import { masksFor } from './names.ts'
import { maskedPath, maskedTarget } from './paths.ts'
import { type Kind, placeholdersFor } from './placeholders.ts'
import { keptParameters, namedDrivers, reducedText } from './texts.ts'

const HEAD = '# A machine as "vfio-patch scan --dump" saw it.'

/**
 * The texts of a dump by file name, and how many names of each kind have placeholders in it: one text for each folder of the root that was read (`sys.txt`,
 * `proc.txt`, …). What would tell one machine of a kind from another is left out or replaced: serial
 * numbers, UUIDs, hardware addresses, names that people gave.
 *
 * A line is `PATH = TEXT`, `PATH -> TARGET` of a link, or `PATH/` of a folder in which nothing was
 * read; the lines of a longer text follow `PATH =`, each behind a tab.
 */
export function makeDump(recording: Recording): {
  texts: Map<string, string>
  replaced: ReadonlyMap<Kind, number>
} {
  const reduced = withoutIdentity(recording)
  const entries = [...reduced.recording].sort(([a], [b]) => (a < b ? -1 : 1))
  const told = entries.filter(([path, entry], i) => {
    const isAround = entry === 'folder' && entries[i + 1]?.[0].startsWith(`${path}/`)
    // A line ends a path at its first blank; nothing that is read has one in its path.
    return !isAround && !/\s/.test(path)
  })
  const files = groupBy(told, ([path]) => `${path.split('/')[1]}.txt`)
  const texts = [...files].map(([name, own]): [string, string] => {
    const lines = own.flatMap(([path, entry]) => entryLines(path, entry))
    return [name, `${[HEAD, ...lines].join('\n')}\n`]
  })
  return { texts: new Map(texts), replaced: reduced.replaced }
}

function entryLines(path: string, entry: Entry): string[] {
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
        const before = recordedText(recording.get(long)) ?? ''
        recording.set(long, { text: `${before}${line.slice(1)}\n` })
        continue
      }
      long = undefined
      if (line === '' || line.startsWith('#')) continue
      const found = /^(\/\S*?)(?: = (.*)|( =)| -> (.*)|(\/))$/.exec(line)
      const [, path, content, begins, link] = found ?? []
      if (path === undefined) return err(line)
      if (begins !== undefined) long = path
      if (link !== undefined) recording.set(path, { link })
      else if (content !== undefined) recording.set(path, { text: `${content}\n` })
      else recording.set(path, begins === undefined ? 'folder' : { text: '' })
    }
  }
  return ok(recording)
}

/**
 * The recording without what would tell one machine of a kind from another: names that people gave,
 * serial numbers, UUIDs, hardware addresses. Each has a placeholder, the same everywhere. Every reader
 * finds in it what it finds in the whole one, but for these names; a second time changes nothing. `replaced`
 * is how many names of each kind there were.
 */
export function withoutIdentity(recording: Recording): {
  recording: Recording
  replaced: ReadonlyMap<Kind, number>
} {
  const names = placeholdersFor(recording)
  const drivers = namedDrivers(recording)
  const masks = masksFor(recording, names, drivers)
  const parameters = (text: string) => keptParameters(text, drivers, names).join(' ')
  const differing = differingParameters(recording, parameters)
  const at = {
    masks,
    parameters: (text: string) => {
      const kept = parameters(text)
      const other = differing.has(text.trim()) ? [names.of('other', text.trim())] : []
      return `${[kept, ...other].filter(it => it !== '').join(' ')}\n`
    },
    modaliases: textsAt(recording, '/modalias').map(it => it.trim()),
    hasBlock: (name: string) => recording.has(`/sys/class/block/${name}`)
  }
  const reduced: Recording = new Map()
  for (const [path, entry] of recording) {
    if (/^\/sys\/class\/block\/(?:loop|ram|zram)\d+(?:\/|$)/.test(path)) continue
    const masked = maskedPath(path, masks)
    if (masked === undefined) continue
    reduced.set(
      masked,
      entry === 'folder'
        ? entry
        : 'link' in entry
          ? { link: maskedTarget(path, entry.link, masks) }
          : { text: reducedText(path, entry.text, at) }
    )
  }
  return { recording: reduced, replaced: names.counts() }
}

function textsAt(recording: Recording, end: string): string[] {
  return [...recording].flatMap(([path, it]) =>
    path.endsWith(end) ? (recordedText(it) ?? []) : []
  )
}

/**
 * The parameters of systems that differ only in what is left out: that they differ decides whether a
 * change waits for the next boot.
 */
function differingParameters(
  recording: Recording,
  parameters: (text: string) => string
): Set<string> {
  const texts = [...new Set(textsAt(recording, '/kernel-params').map(it => it.trim()))]
  const isSame = (a: string, b: string) => a !== b && parameters(a) === parameters(b)
  return new Set(texts.filter(it => texts.some(other => isSame(it, other))))
}
