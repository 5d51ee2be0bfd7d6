// What stays beside our options and does not go together with them, so that our modules stop the build.

import { type Binding, bindingsOf, differ } from '../../lints/bindings.ts'
import { type View, viewsOf } from '../../lints/configuration.ts'
import { nixError } from '../../nix/errors.ts'
import { type NixDocument, type NixError, parseDocument, type Range } from '../../nix/index.ts'
import { applyEdits, type Edit, moveOffset } from '../../nix/text/edits.ts'
import { isCertain } from './obsolete.ts'

interface Clash {
  range: Range
  message: string
  hint: string
}

/**
 * The first that was there before, and gets options of ours beside it by these edits, in any boot entry. What
 * clashed before stays a person's own matter, and what counts under a condition may be meant for another
 * time.
 */
export function clashAfter(
  before: NixDocument,
  edits: readonly Edit[],
  inverse: readonly Edit[]
): NixError | undefined {
  const after = parseDocument(applyEdits(before.text, edits))
  const sourceOf = (doc: NixDocument, { start, end }: Range) => doc.text.slice(start, end)
  const earlier = clashesIn(before).map(it => sourceOf(before, it.range))
  const clash = clashesIn(after).find(it => !earlier.includes(sourceOf(after, it.range)))
  if (!clash) return undefined
  const { range, message, hint } = clash
  const back = (offset: number) => moveOffset(inverse, offset)
  const at = { start: back(range.start), end: back(range.end) }
  return nixError(before.text, { code: 'CONFLICT', message, range: at, hint })
}

function clashesIn(doc: NixDocument): Clash[] {
  const views = viewsOf([{ path: '', doc }], { ours: true })
  return views.flatMap(view => [...idsIn(view), ...keysIn(view)])
}

/** The places beside our options that give other IDs than these. */
function idsIn(view: View): Clash[] {
  const bindings = bindingsOf(view)
  const ours = bindings.find(it => it.isOurs)
  const isBound =
    view.says('virtualisation.vfio.enable', true).length > 0 &&
    view.says('virtualisation.vfio.bindAtBoot', false).length === 0
  if (!ours || !isBound) return []
  const isOther = (it: Binding) => !it.isOurs && isCertain(it.at) && differ(it, ours, bindings)
  return bindings.filter(isOther).map(({ range }) => ({
    range,
    message:
      'IDs for vfio-pci stand here already, and with those of virtualisation.vfio.devices only one of the two lists would count',
    hint: 'take them out here, then run this again; what else a guest is to have goes into virtualisation.vfio.devices'
  }))
}

/** The keys of qemu.conf that our modules write, and what has them do that. */
const KEYS = [
  {
    key: 'cgroup_device_acl',
    isOurs: (view: View) =>
      view.items('virtualisation.libvirtd.deviceACL').length > 0 ||
      view.says('virtualisation.kvmfr.enable', true).length > 0,
    instead: 'its devices as virtualisation.libvirtd.deviceACL = [ … ];'
  },
  {
    key: 'clear_emulation_capabilities',
    isOurs: (view: View) =>
      view.says('virtualisation.libvirtd.clearEmulationCapabilities', false).length > 0,
    instead: 'virtualisation.libvirtd.clearEmulationCapabilities = false;'
  }
]

/** Keys of qemu.conf that a person wrote and our modules write, too: libvirt reads the first of two. */
function keysIn(view: View): Clash[] {
  const texts = ['qemu.verbatimConfig', 'qemuVerbatimConfig'].flatMap(it =>
    view.texts(`virtualisation.libvirtd.${it}`)
  )
  return KEYS.filter(it => it.isOurs(view)).flatMap(({ key, instead }) =>
    texts.filter(isCertain).flatMap((at): Clash[] => {
      const found = new RegExp(`^[ \\t]*(${key}[ \\t]*=.*)$`, 'm').exec(at.text)
      const line = found?.[1]
      if (!found || line === undefined) return []
      const start = at.start + found.index + found[0].indexOf(line)
      return [
        {
          range: { start, end: start + line.length },
          message: `${key} stands here already, and libvirt would read only one of the two`,
          hint: `write ${instead} here instead of it, then run this again`
        }
      ]
    })
  )
}
