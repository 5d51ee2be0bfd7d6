// Every flag of every command, in one table: how it is parsed, and who takes it.

export type Command = 'apply' | 'diff' | 'undo'

export interface Flag {
  name: string
  short?: string
  /**
   * `switch` is on or absent, `toggle` has a `--no-` form, `off` exists only in its `--no-` form,
   * `text` takes a value once, `texts` takes one each time it is given.
   */
  kind: 'switch' | 'toggle' | 'off' | 'text' | 'texts'
  commands: readonly Command[]
}

const ALL: readonly Command[] = ['apply', 'diff', 'undo']
const PLANNING: readonly Command[] = ['apply', 'diff']
const WRITING: readonly Command[] = ['apply', 'undo']

export const FLAGS: readonly Flag[] = [
  { name: 'device', kind: 'texts', commands: PLANNING },
  { name: 'address', kind: 'texts', commands: PLANNING },
  { name: 'iommu', kind: 'text', commands: PLANNING },
  { name: 'bind', kind: 'text', commands: PLANNING },
  { name: 'disable-efifb', kind: 'toggle', commands: PLANNING },
  { name: 'blacklist-nvidia', kind: 'toggle', commands: PLANNING },
  { name: 'ignore-msrs', kind: 'toggle', commands: PLANNING },
  { name: 'acs-patch', kind: 'toggle', commands: PLANNING },
  { name: 'user', kind: 'texts', commands: PLANNING },
  { name: 'shared-memory', kind: 'texts', commands: PLANNING },
  { name: 'device-acl', kind: 'texts', commands: PLANNING },
  { name: 'clear-emulation-capabilities', kind: 'toggle', commands: PLANNING },
  { name: 'hugepages', kind: 'text', commands: PLANNING },
  { name: 'modules-dir', kind: 'text', commands: PLANNING },
  { name: 'replace-modules', kind: 'switch', commands: PLANNING },
  { name: 'parse-check', kind: 'text', commands: PLANNING },
  { name: 'output', short: 'o', kind: 'text', commands: PLANNING },
  { name: 'unified', short: 'U', kind: 'text', commands: PLANNING },
  { name: 'run', kind: 'text', commands: ['undo'] },
  { name: 'list', kind: 'switch', commands: ['undo'] },
  { name: 'dry-run', short: 'n', kind: 'switch', commands: WRITING },
  { name: 'yes', short: 'y', kind: 'switch', commands: WRITING },
  { name: 'input', kind: 'off', commands: WRITING },
  { name: 'backup', kind: 'off', commands: ['apply'] },
  { name: 'root', kind: 'text', commands: ALL },
  { name: 'color', kind: 'text', commands: ALL },
  { name: 'quiet', short: 'q', kind: 'switch', commands: ALL },
  { name: 'verbose', short: 'v', kind: 'switch', commands: ALL },
  { name: 'help', short: 'h', kind: 'switch', commands: ALL },
  { name: 'version', short: 'V', kind: 'switch', commands: ALL }
]

/** The flag as a person types it. */
export function spell(flag: Flag): string {
  return flag.kind === 'off' ? `--no-${flag.name}` : `--${flag.name}`
}
