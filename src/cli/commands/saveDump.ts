import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatDump } from '../../host/dump.ts'
import type { Host } from '../input/readHost.ts'
import { EXIT, type Message, usage } from '../message.ts'

/** Writes what was read of a machine into a folder that is empty or not there yet. */
export function saveDump(folder: string, { recording, names }: Host): Message | undefined {
  try {
    mkdirSync(folder, { recursive: true })
    if (readdirSync(folder).length > 0) {
      return usage(`--dump: ${folder} is not empty. Nothing was written.`, {
        remedy: 'give a new folder, e.g. --dump my-machine'
      })
    }
    const files = [...formatDump(recording), ['pci.ids', pciIdsOf(names)] as const]
    // Nothing that somebody put there meanwhile is written over or followed.
    for (const [name, text] of files) writeFileSync(join(folder, name), text, { flag: 'wx' })
    return undefined
  } catch (error) {
    const { code = 'EIO' } = error as NodeJS.ErrnoException
    return {
      code: 'NOT_WRITABLE',
      exit: EXIT.io,
      what: `cannot write the dump to ${folder} (${code}).`,
      remedy: 'choose another place for it, e.g. --dump ~/my-machine'
    }
  }
}

/** The names as a pci.ids has them, so that the dump shows the same anywhere. */
function pciIdsOf(names: ReadonlyMap<string, string>): string {
  const vendors = new Map<string, string[]>()
  const makers = new Map<string, string>()
  for (const [id, name] of [...names].sort()) {
    const [vendor = '', device = ''] = id.split(':')
    const [maker = ''] = name.split(' ')
    makers.set(vendor, maker)
    vendors.set(vendor, [
      ...(vendors.get(vendor) ?? []),
      `\t${device}  ${name.slice(maker.length + 1)}`
    ])
  }
  return [...vendors]
    .map(([vendor, lines]) => [`${vendor}  ${makers.get(vendor)}`, ...lines, ''].join('\n'))
    .join('')
}
