import type { Entry, EntryItem, EntryText, View } from './configuration.ts'
import type { Finding } from './finding.ts'
import { contendersFor } from './strongest.ts'
import { MASK } from './values.ts'

type Said = Omit<Finding, 'path' | 'range'>

/** A finding at the name or the item that it is about. */
export function findingAt(at: Entry | EntryItem, said: Said): Finding {
  if ('entry' in at) {
    const { start, end } = at.node
    return { ...said, path: at.entry.file.path, range: { start, end } }
  }
  const { start, end } = at.value
  return { ...said, path: at.file.path, range: { start, end } }
}

/** A finding in the middle of a string. */
export function findingIn(at: EntryText, index: number, length: number, said: Said): Finding {
  const start = at.start + index
  return { ...said, path: at.entry.file.path, range: { start, end: start + length } }
}

/** The parameters of the kernel, each by itself; several may stand in one string. */
export function kernelParams(view: View): { item: EntryItem; param: string }[] {
  return view.items('boot.kernelParams').flatMap(item =>
    (item.text ?? '')
      .split(/\s+/)
      .filter(it => it !== '')
      .map(param => ({ item, param }))
  )
}

/** The lines of `boot.extraModprobeConfig`, blanks at both ends taken off, and where they begin. */
export function modprobeLines(view: View): { at: EntryText; line: string; index: number }[] {
  return view.texts('boot.extraModprobeConfig').flatMap(at =>
    [...at.text.matchAll(/^[ \t]*(\S.*?)[ \t]*$/gm)].map(found => ({
      at,
      line: found[1] ?? '',
      index: found.index + found[0].indexOf(found[1] ?? '')
    }))
  )
}

/** The lists that name modules which are loaded, whatever happens. */
export const LOADED = ['boot.initrd.kernelModules', 'boot.kernelModules'] as const

/** Whether this system gives a device to a guest, as far as it can be seen. */
export function passesDevices(view: View): boolean {
  return (
    kernelParams(view).some(it => /^vfio[-_]pci\.ids=/.test(it.param)) ||
    modprobeLines(view).some(it => /^options\s+vfio[-_]pci\s.*\bids=/.test(it.line)) ||
    LOADED.some(list => view.items(list).some(it => /^vfio[-_]pci$/.test(it.text ?? ''))) ||
    contendersFor(view, 'virtualisation.vfio.enable').some(it => it.spelling === 'true')
  )
}

/** Whether nothing of it is computed. */
export function isPlain(text: string): boolean {
  return !text.includes(MASK)
}

/** Whether it is there for some versions of the kernel only. */
export function asksVersion(item: EntryItem): boolean {
  const conditions = [...item.conditions, ...item.entry.conditions]
  return conditions.some(it => /version(?:Older|AtLeast)|compareVersions/.test(it))
}
