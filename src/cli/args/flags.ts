// Every flag of every command, in one table: how it is parsed, and who takes it.

export const COMMANDS = [
  'scan',
  'apply',
  'diff',
  'check',
  'remove',
  'undo',
  'option',
  'domain'
] as const
export type Command = (typeof COMMANDS)[number]

/** What `option` can be told to do. */
export const ACTIONS = ['get', 'set', 'add', 'remove', 'import'] as const
export type Action = (typeof ACTIONS)[number]

export interface Flag {
  name: string
  short?: string
  /**
   * `switch` is on or absent, `toggle` has a `--no-` form, `off` exists only in its `--no-` form,
   * `text` takes a value once, `texts` takes one each time it is given.
   */
  kind: 'switch' | 'toggle' | 'off' | 'text' | 'texts'
  commands: readonly Command[]
  /** What `option` has to be doing for it; anything unless given. */
  actions?: readonly Action[]
}

const PLANNING: readonly Command[] = ['apply', 'diff']
const LOOKING: readonly Command[] = ['scan', 'apply', 'diff', 'check']
const EDITING: readonly Command[] = ['apply', 'diff', 'check', 'remove', 'option']
const WRITING: readonly Command[] = ['apply', 'check', 'remove', 'undo', 'option']
const CHANGING: readonly Action[] = ['set', 'add', 'remove', 'import']

export const FLAGS: readonly Flag[] = [
  { name: 'gpu', kind: 'texts', commands: PLANNING },
  { name: 'confirm', kind: 'texts', commands: PLANNING },
  { name: 'specialisation', kind: 'text', commands: PLANNING },
  { name: 'assume-isolated', kind: 'switch', commands: PLANNING },
  { name: 'domain', kind: 'text', commands: PLANNING },
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
  { name: 'modules-dir', kind: 'text', commands: [...PLANNING, 'remove'] },
  { name: 'replace-modules', kind: 'switch', commands: PLANNING },
  { name: 'parse-check', kind: 'text', commands: EDITING, actions: CHANGING },
  { name: 'eval', kind: 'text', commands: EDITING, actions: CHANGING },
  { name: 'output', short: 'o', kind: 'text', commands: EDITING, actions: CHANGING },
  { name: 'unified', short: 'U', kind: 'text', commands: EDITING, actions: CHANGING },
  { name: 'flat', kind: 'switch', commands: ['option'], actions: ['get'] },
  { name: 'string', kind: 'switch', commands: ['option'], actions: ['set', 'add', 'remove'] },
  { name: 'lines', kind: 'switch', commands: ['option'], actions: ['add'] },
  { name: 'at', kind: 'text', commands: ['option'], actions: ['add'] },
  { name: 'fix', kind: 'switch', commands: ['check'] },
  { name: 'release', kind: 'text', commands: [...PLANNING, 'check'] },
  { name: 'keep-obsolete', kind: 'switch', commands: PLANNING },
  { name: 'run', kind: 'text', commands: ['undo'] },
  { name: 'redo', kind: 'switch', commands: ['undo'] },
  { name: 'list', kind: 'switch', commands: ['undo'] },
  { name: 'all', kind: 'switch', commands: ['undo'] },
  { name: 'dry-run', short: 'n', kind: 'switch', commands: WRITING, actions: CHANGING },
  { name: 'yes', short: 'y', kind: 'switch', commands: WRITING, actions: CHANGING },
  { name: 'input', kind: 'off', commands: WRITING, actions: CHANGING },
  {
    name: 'backup',
    kind: 'off',
    commands: ['apply', 'check', 'remove', 'option'],
    actions: CHANGING
  },
  { name: 'git-add', kind: 'off', commands: [...WRITING, 'diff'], actions: CHANGING },
  { name: 'sysfs', kind: 'text', commands: LOOKING },
  { name: 'dump', kind: 'text', commands: ['scan'] },
  { name: 'to', kind: 'text', commands: ['domain'] },
  { name: 'mend', kind: 'switch', commands: ['domain'] },
  { name: 'check', kind: 'switch', commands: ['domain'] },
  { name: 'root', kind: 'text', commands: COMMANDS.filter(it => it !== 'scan' && it !== 'domain') },
  { name: 'json', kind: 'switch', commands: COMMANDS },
  { name: 'color', kind: 'text', commands: COMMANDS },
  { name: 'quiet', short: 'q', kind: 'switch', commands: COMMANDS },
  { name: 'verbose', short: 'v', kind: 'switch', commands: COMMANDS },
  { name: 'help', short: 'h', kind: 'switch', commands: COMMANDS },
  { name: 'version', short: 'V', kind: 'switch', commands: COMMANDS }
]

/** The flag as a person types it. */
export function formatFlag(flag: Flag): string {
  return flag.kind === 'off' ? `--no-${flag.name}` : `--${flag.name}`
}
