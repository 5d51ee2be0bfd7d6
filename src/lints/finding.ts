import type { NixValue, Range } from '../nix/index.ts'
import type { Entry, EntryItem, EntryText } from './view.ts'

/** Where something is written. */
export interface Place {
  path: string
  range: Range
}

/** Something in a configuration that does not do what its author wants of it. */
export interface Finding extends Place {
  code: LintCode
  /**
   * `problem` breaks something, or does nothing where something was wanted; a `note` is worth knowing
   * and does no harm.
   */
  level: 'problem' | 'note'
  /** What is found, in one sentence without a final period. */
  message: string
  why: string
  /** What to do about it. */
  remedy: string
  /** The edit that fixes it, where one does for sure. */
  fix?: Fix | undefined
  /** The modules that the initrd of that boot entry has to load, where that fixes it for sure. */
  initrdModules?: readonly string[]
}

/** The words of a finding, as the functions in `messages/` return them. */
export type FindingText = Pick<Finding, 'code' | 'level' | 'message' | 'why' | 'remedy'>

/** A finding without its place. */
export type FindingInit = Omit<Finding, keyof Place>

/** The value of a definition, or an item of a list. */
export function findingPlace(at: Entry | EntryItem): Place {
  const [file, { start, end }] = 'entry' in at ? [at.entry.file, at.node] : [at.file, at.value]
  return { path: file.path, range: { start, end } }
}

/** A part of a string, by its offset in the text of that. */
export function placeWithin(at: EntryText, index: number, length: number): Place {
  const start = at.start + index
  return { path: at.entry.file.path, range: { start, end: start + length } }
}

/** A finding at the definition, item or place that it is about. */
export function findingAt(at: Entry | EntryItem | Place, init: FindingInit): Finding {
  const { path, range } = 'range' in at ? at : findingPlace(at)
  return { ...init, path, range }
}

/** Whether two findings are the same one, be it seen before an edit and after it, at another place. */
export function isSameFinding(one: Finding, other: Finding): boolean {
  return one.path === other.path && one.code === other.code && one.message === other.message
}

/** Edits of the file that the finding stands in, to be planned together. */
export type Fix = readonly FixStep[]

export type FixStep =
  | { op: 'add' | 'remove'; path: readonly string[]; items: readonly NixValue[] }
  /** One more line of an option of text. */
  | { op: 'add-line'; path: readonly string[]; line: string }
  | { op: 'drop'; path: readonly string[] }
  | { op: 'set'; path: readonly string[]; value: NixValue }
  | { op: 'rename'; path: readonly string[]; to: readonly string[] }

/** Puts other strings in the place of a string of a list; undefined where the item is more than that text. */
export function replaceItem(
  { entry, node, text }: EntryItem,
  old: string,
  instead: readonly string[]
): Fix | undefined {
  if (text !== old || node.type !== 'string_expression') return undefined
  const remove = { op: 'remove', path: entry.fullPath, items: [old] } as const
  return instead.length === 0
    ? [remove]
    : [remove, { op: 'add', path: entry.fullPath, items: instead }]
}

/** What is seen in the text; each code has one meaning, told in its lint. */
export const TEXT_CODES = [
  'ACL_INCOMPLETE',
  'ACS_WITHOUT_PATCH',
  'AMD_IOMMU_ON',
  'AMD_IOMMU_PT',
  'BAD_ID',
  'BLACKLISTS_HOST',
  'DARK_PASSPHRASE',
  'DECLARED_TWICE',
  'EFIFB_OFF',
  'FRAGILE_MODULE',
  'GUEST_NETWORK',
  'HOOK_CALLS_VIRSH',
  'HOOK_PLACE',
  'HOOK_SHELL',
  'HUGEPAGES_1M',
  'IDS_TWICE',
  'IMAGE_IN_HOME',
  'LOAD_ORDER',
  'NAMESPACES',
  'NVIDIA_HOLDS',
  'OLD_MODULE',
  'OVMF_FILE',
  'OVMF_OPTION',
  'PARAMETERS_IN_ONE',
  'PCI_NOMSI',
  'PRE_DEVICE_COMMANDS',
  'PRIME_GUEST',
  'REMOVED_OPTION',
  'RENAMED_OPTION',
  'SHUTDOWN_SUSPENDS',
  'SOFTDEP_DRM',
  'STORE_PATH',
  'VIRQFD'
] as const

/** Those of them that the machine decides where it is known: its findings take the place of the text's. */
export const DECIDED_CODES: readonly LintCode[] = ['DARK_PASSPHRASE']

/** What is seen only where the configuration is held against its machine. */
export const MACHINE_CODES = [
  'ACS_NOT_ACTIVE',
  'BOOT_FRAMEBUFFER',
  'DRIVER_WON',
  'HUGEPAGES_TOO_MANY',
  'IOMMU_OFF',
  'LOCKS_OUT',
  'MISSING_FUNCTION',
  'MOVED_DEVICE',
  'NEEDS_REBOOT',
  'NO_RESET',
  'NO_SUCH_DEVICE',
  'SHARED_GROUP',
  'SHARED_ID',
  'VIRTUAL_FUNCTION'
] as const

/** What is seen only in the repository that the files lie in. */
export const GIT_CODES = ['UNTRACKED_FILE'] as const

/** What is seen in the guests that a configuration has. */
export const GUEST_CODES = ['GUEST_DISK'] as const

/** All that can be found. */
export const LINT_CODES = [...TEXT_CODES, ...MACHINE_CODES, ...GIT_CODES, ...GUEST_CODES] as const
export type LintCode = (typeof LINT_CODES)[number]
