import type { NixValue, Range } from '../nix/index.ts'
import type { DefinitionItem, DefinitionString, OptionDefinition } from './view.ts'

/** Where something is written. */
export interface Place {
  path: string
  range: Range
}

/** Something in a configuration that does not do what its author wants. */
export interface Finding extends Place {
  code: LintCode
  /** A `problem` breaks something or has no effect; a `note` is worth knowing and does no harm. */
  level: 'problem' | 'note'
  /** What is wrong: a clause in lower case, without a period. */
  message: string
  /** The reason: a clause in lower case and possibly more sentences, with periods. */
  why: string
  /** What to do, without a period. */
  remedy: string
  /** The edit that fixes it for certain, if there is one. */
  fix?: Fix | undefined
  /** The kernel modules that fix it for certain if the boot entry's initrd loads them. */
  initrdModules?: readonly string[]
}

/** The words of a finding, as the functions in `messages/` return them. */
export type FindingText = Pick<Finding, 'code' | 'level' | 'message' | 'why' | 'remedy'>

/** A finding without its place. */
type FindingInit = Omit<Finding, keyof Place>

/** The place of a definition's value, or of a list item. */
export function findingPlace(at: OptionDefinition | DefinitionItem): Place {
  const [file, { start, end }] =
    'definition' in at ? [at.definition.file, at.node] : [at.file, at.value]
  return { path: file.path, range: { start, end } }
}

/** The place of a part of a string; `index` is an offset in its text. */
export function placeWithin(at: DefinitionString, index: number, length: number): Place {
  const start = at.start + index
  return { path: at.definition.file.path, range: { start, end: start + length } }
}

/** A finding about a definition, a list item or a place. */
export function findingAt(
  at: OptionDefinition | DefinitionItem | Place,
  init: FindingInit
): Finding {
  const { path, range } = 'range' in at ? at : findingPlace(at)
  return { ...init, path, range }
}

/** Whether two findings are the same, possibly at different places before and after an edit. */
export function isSameFinding(one: Finding, other: Finding): boolean {
  return one.path === other.path && one.code === other.code && one.message === other.message
}

/** Edits of the file that has the finding, to be planned together. */
export type Fix = readonly FixStep[]

export type FixStep =
  | { op: 'add' | 'remove'; path: readonly string[]; items: readonly NixValue[] }
  /** Adds a line to a string. */
  | { op: 'add-line'; path: readonly string[]; line: string }
  | { op: 'drop'; path: readonly string[] }
  | { op: 'set'; path: readonly string[]; value: NixValue }
  | { op: 'rename'; path: readonly string[]; to: readonly string[] }

/** Replaces a string in a list by `items`; undefined if the item is not exactly that string. */
export function replaceItem(
  { definition, node, text }: DefinitionItem,
  replaced: string,
  items: readonly string[]
): Fix | undefined {
  if (text !== replaced || node.type !== 'string_expression') return undefined
  const remove = { op: 'remove', path: definition.fullPath, items: [replaced] } as const
  return items.length === 0 ? [remove] : [remove, { op: 'add', path: definition.fullPath, items }]
}

/** Codes of findings in the text. */
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

/** The codes in TEXT_CODES whose findings are replaced by more exact ones if the machine is known. */
export const CODES_DECIDED_BY_MACHINE: readonly LintCode[] = ['DARK_PASSPHRASE']

/** Codes of findings that need the machine. */
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

/** Codes of findings in the repository of the files. */
export const GIT_CODES = ['UNTRACKED_FILE'] as const

/** Codes of findings in the guests of a configuration. */
export const GUEST_CODES = ['GUEST_DISK'] as const

export const LINT_CODES = [...TEXT_CODES, ...MACHINE_CODES, ...GIT_CODES, ...GUEST_CODES] as const
export type LintCode = (typeof LINT_CODES)[number]
