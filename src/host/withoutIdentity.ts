import { masksFor } from './mask/names.ts'
import { keptParameters } from './mask/parameters.ts'
import { maskedPath, maskedTarget } from './mask/paths.ts'
import { type Kind, placeholdersFor } from './mask/placeholders.ts'
import { driversIn, reducedText } from './mask/texts.ts'
import type { Recording } from './source.ts'

/** What goes into a dump, and how many names of each kind were replaced for that. */
export interface Reduced {
  recording: Recording
  replaced: ReadonlyMap<Kind, number>
}

/**
 * The recording without what would tell one machine of a kind from another: names that people gave,
 * serial numbers, UUIDs, hardware addresses. Each has a placeholder, the same everywhere. Every reader
 * finds in it what it finds in the whole one, but for these names; a second time changes nothing.
 */
export function withoutIdentity(recording: Recording): Reduced {
  const names = placeholdersFor(recording)
  const drivers = driversIn(recording)
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
    modaliases: textsOf(recording, '/modalias').map(it => it.trim()),
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

function textsOf(recording: Recording, end: string): string[] {
  return [...recording].flatMap(([path, it]) =>
    path.endsWith(end) && typeof it === 'object' && 'text' in it ? [it.text] : []
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
  const texts = [...new Set(textsOf(recording, '/kernel-params').map(it => it.trim()))]
  const isSame = (a: string, b: string) => a !== b && parameters(a) === parameters(b)
  return new Set(texts.filter(it => texts.some(other => isSame(it, other))))
}
