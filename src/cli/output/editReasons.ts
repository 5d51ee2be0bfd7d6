import type { Edit, NixDocument } from '../../nix/index.ts'
import { spellPath } from '../../nix/path.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { EditReport } from '../report.ts'

/** The flags that ask for an option, or for all that lie below it. */
const FLAGS: readonly [option: string, rule: string][] = [
  ['imports', 'modules'],
  ['virtualisation.vfio.enable', 'always'],
  ['virtualisation.vfio.IOMMUType', '--iommu'],
  ['virtualisation.vfio.devices', '--device'],
  ['virtualisation.vfio.addresses', '--address'],
  ['virtualisation.vfio.competingDrivers', '--gpu'],
  ['virtualisation.vfio.bindAtBoot', '--bind'],
  ['virtualisation.vfio.disableEFIfb', '--disable-efifb'],
  ['virtualisation.vfio.blacklistNvidia', '--blacklist-nvidia'],
  ['virtualisation.vfio.ignoreMSRs', '--ignore-msrs'],
  ['virtualisation.vfio.applyACSpatch', '--acs-patch'],
  ['virtualisation.vfio.users', '--user'],
  ['virtualisation.vfio.passthroughDMA', 'boot.kernelParams'],
  ['boot.initrd.kernelModules', 'DARK_PASSPHRASE'],
  ['virtualisation.sharedMemoryFiles', '--shared-memory'],
  ['virtualisation.hugepages', '--hugepages'],
  ['virtualisation.vfio.guests', '--domain'],
  ['virtualisation.kvmfr', '--domain'],
  ['virtualisation.libvirtd.qemu.swtpm', '--domain'],
  ['virtualisation.libvirtd.deviceACL', '--device-acl'],
  ['virtualisation.libvirtd.clearEmulationCapabilities', '--clear-emulation-capabilities']
]

/** What asked for edits. */
interface Wishes {
  /** The command, which is named where nothing else asked. */
  command: string
  /** The options whose values come from `--gpu`. */
  byCard?: readonly string[] | undefined
  /** The options whose values, or those below them, come from `--domain`. */
  byGuest?: readonly string[] | undefined
  /** What gives way, and the options that are edited for it. */
  replaced?: readonly { code: string; options: readonly string[]; at: { line: number } }[]
}

function unique(all: string[]): string[] {
  return [...new Set(all)]
}

/** The options whose values lie in a piece of the text, or around it. */
function optionsAt(document: NixDocument, start: number, length: number): string[] {
  const end = start + length
  return document
    .leaves()
    .filter(({ value }) =>
      length === 0
        ? value.start < start && start < value.end
        : value.start < end && start < value.end
    )
    .map(it => spellPath(it.path))
}

/**
 * What asked for an edit of this option, as a person knows it: a flag, the codes of what gives way, else
 * the command.
 */
function rulesOf(option: string, wishes: Wishes): string[] {
  const { command, byCard = [], byGuest = [], replaced = [] } = wishes
  if (command !== 'apply' && command !== 'diff') return [command]
  const own = option.replace(/^specialisation\.(?:"[^"]*"|[^.]+)\.configuration\./, '')
  if (byCard.includes(own)) return ['--gpu']
  if (byGuest.some(it => own === it || own.startsWith(`${it}.`))) return ['--domain']
  const isAbout = (it: string) => option === it || own === it || option.startsWith(`${it}.`)
  const codes = replaced.filter(it => it.options.some(isAbout)).map(it => it.code)
  const found = FLAGS.find(([it]) => own === it || own.startsWith(`${it}.`))
  const isImport = own === 'imports' && found !== undefined
  if (codes.length > 0) return [...new Set([...(isImport ? [found[1]] : []), ...codes])]
  return [found?.[1] ?? command]
}

/**
 * The edits of a plan with what they are there for: the options that each touches, and what asked
 * for these, as `rulesOf` tells it.
 */
export function reportEdits(
  before: NixDocument,
  after: NixDocument,
  edits: readonly Edit[],
  wishes: Wishes
): EditReport[] {
  if (edits.length === 0) return []
  // A new name touches no value.
  const renamed = (line: number) =>
    (wishes.replaced ?? [])
      .filter(it => it.at.line === line)
      .map(it => ({ option: it.options[0] ?? '', rule: it.code }))
  let shift = 0
  return edits.map(({ offset, length, content }) => {
    const start = offset + shift
    shift += content.length - length
    const options = unique([
      ...optionsAt(before, offset, length),
      ...optionsAt(after, start, content.length)
    ])
    const reasons = options.flatMap(option =>
      rulesOf(option, wishes).map(rule => ({ option, rule }))
    )
    const { line } = placeOf(before.text, offset)
    return { line, offset, length, content, reasons: reasons.length > 0 ? reasons : renamed(line) }
  })
}
