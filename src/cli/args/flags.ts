// One table of all flags: how each is parsed, which commands take it, and its help. The flags of settings come
// from the table of settings.

import type { CheckMode } from '../../plan/evaluate.ts'
import { type Flag, formatFlag } from '../../settings/flag.ts'
import { SETTINGS } from '../../settings/table.ts'

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

/** The actions of `option`. */
export const ACTIONS = ['get', 'set', 'add', 'remove', 'rename', 'import'] as const
export type Action = (typeof ACTIONS)[number]

/** The values of `--parse-check`. */
export const CHECK_MODES: readonly CheckMode[] = ['auto', 'require', 'off']

/** A flag, and the commands that take it. */
export type CommandFlag = Flag & {
  commands: readonly Command[]
  /** The actions of `option` that take it; all if absent. */
  actions?: readonly Action[]
  /** The help for commands in which it differs. */
  helpIn?: Partial<Record<Command, string>>
}

const PLANNING: readonly Command[] = ['apply', 'diff']
const READING_MACHINE: readonly Command[] = ['scan', 'apply', 'diff', 'check']
const EDITING: readonly Command[] = ['apply', 'diff', 'check', 'remove', 'option']
const WRITING: readonly Command[] = ['apply', 'check', 'remove', 'undo', 'option']
/** The actions that can choose between the definitions of an option. */
const CHOOSING: readonly Action[] = ['set', 'add', 'remove']
const CHANGING: readonly Action[] = ['set', 'add', 'remove', 'rename', 'import']

/** The flags in the order of the help. */
export const FLAGS: readonly CommandFlag[] = [
  ...SETTINGS.map(it => ({ ...it, commands: PLANNING })),
  {
    name: 'dump',
    kind: 'text',
    argument: 'DIR',
    help: 'save what was read from the machine in a new folder, for a bug report or for --sysfs; omits serial numbers and names that people choose',
    commands: ['scan']
  },
  {
    name: 'redo',
    kind: 'switch',
    help: 'redo the run that was undone last; call it again to redo more runs. Not possible after a new run',
    commands: ['undo']
  },
  {
    name: 'run',
    kind: 'text',
    argument: 'ID',
    help: 'undo the run with this ID instead of the last run',
    commands: ['undo']
  },
  {
    name: 'list',
    kind: 'switch',
    help: 'list the newest 10 runs of FILE, or of all files if you name none, and which runs are in effect',
    commands: ['undo']
  },
  {
    name: 'all',
    kind: 'switch',
    help: 'with --list: list all runs',
    helpIn: { option: 'set, add, remove: edit every definition of PATH; remove does that anyway' },
    commands: ['undo', 'option'],
    actions: CHOOSING
  },
  {
    name: 'line',
    kind: 'text',
    argument: 'N',
    help: 'set, add, remove: edit the definition at this line of FILE',
    commands: ['option'],
    actions: CHOOSING
  },
  {
    name: 'conditional',
    kind: 'switch',
    help: 'set, add, remove: edit the definition although it applies only under a condition, or add one there; remove does that anyway',
    commands: ['option'],
    actions: CHOOSING
  },
  {
    name: 'flat',
    kind: 'switch',
    help: 'get: one line for each option in the file, or below PATH',
    commands: ['option'],
    actions: ['get']
  },
  {
    name: 'string',
    kind: 'switch',
    help: 'set, add, remove: take each VALUE as text, not as Nix',
    commands: ['option'],
    actions: ['set', 'add', 'remove']
  },
  {
    name: 'lines',
    kind: 'switch',
    help: 'add: take each VALUE as a line of a string',
    commands: ['option'],
    actions: ['add']
  },
  {
    name: 'at',
    kind: 'text',
    choices: ['end', 'start'],
    help: 'add: where to insert in the list; default end',
    commands: ['option'],
    actions: ['add']
  },
  {
    name: 'remove',
    kind: 'switch',
    help: 'import: remove the path instead',
    commands: ['option'],
    actions: ['import']
  },
  {
    name: 'to',
    kind: 'text',
    choices: ['nix', 'xml'],
    help: 'format to print; default nix',
    commands: ['domain']
  },
  {
    name: 'mend',
    kind: 'switch',
    help: 'fix what does not work on NixOS: paths of other systems, firmware, removed machine types, QEMU arguments that libvirt has elements for, a missing UUID or MAC address. Reports each change',
    commands: ['domain']
  },
  {
    name: 'check',
    kind: 'switch',
    help: 'print nothing; only check that FILE converts without loss',
    commands: ['domain']
  },
  {
    name: 'root',
    kind: 'text',
    argument: 'DIR',
    help: 'work on the system mounted at DIR, e.g. /mnt',
    commands: COMMANDS.filter(it => it !== 'scan' && it !== 'domain')
  },
  {
    name: 'sysfs',
    kind: 'text',
    argument: 'DIR',
    help: 'read the machine from this folder, written by "scan --dump"',
    commands: READING_MACHINE
  },
  {
    name: 'modules-dir',
    kind: 'text',
    argument: 'DIR',
    help: "folder for vfio-patch's modules, next to FILE; default vfio",
    helpIn: {
      remove: "folder of vfio-patch's modules, needed if FILE no longer imports it; default vfio"
    },
    commands: [...PLANNING, 'remove']
  },
  {
    name: 'replace-modules',
    kind: 'switch',
    help: "overwrite vfio-patch's modules even if you edited them; with --domain, also the guest's file",
    commands: PLANNING
  },
  {
    name: 'keep-obsolete',
    kind: 'switch',
    help: 'keep settings from old guides in FILE, although they have no effect or cause harm today (see "vfio-patch check"); also keep imports of other modules that declare the same options as vfio-patch',
    commands: PLANNING
  },
  {
    name: 'release',
    kind: 'text',
    argument: 'RELEASE',
    help: "release of NixOS that will be built, e.g. 26.05; default: the running system's, else the newest",
    helpIn: {
      check:
        "release of NixOS to check for, e.g. 26.05, or unstable; default: the system's if it is NixOS, else the newest"
    },
    commands: [...PLANNING, 'check']
  },
  {
    name: 'fix',
    kind: 'switch',
    help: 'fix what an edit can fix: show the change, ask, and write it; "vfio-patch undo FILE" undoes it',
    commands: ['check']
  },
  {
    name: 'parse-check',
    kind: 'text',
    argument: 'MODE',
    choices: CHECK_MODES,
    help: 'check the result with nix-instantiate: auto (default), require or off',
    commands: EDITING,
    actions: CHANGING
  },
  {
    name: 'eval',
    kind: 'text',
    argument: 'COMMAND',
    help: 'first run COMMAND on a copy that has the change, and write nothing if COMMAND fails. $VFIO_PATCH_TREE is the copy of the repository or folder, $VFIO_PATCH_FILE is FILE in the copy',
    commands: EDITING,
    actions: CHANGING
  },
  {
    name: 'output',
    short: 'o',
    kind: 'text',
    argument: 'PATCH',
    help: 'also write the change to this file, as a patch',
    commands: EDITING,
    actions: CHANGING
  },
  {
    name: 'unified',
    short: 'U',
    kind: 'text',
    argument: 'N',
    help: 'lines of context in the diff; default 3',
    commands: EDITING,
    actions: CHANGING
  },
  {
    name: 'backup',
    kind: 'off',
    help: 'save no backup, so undo is impossible; needs --yes',
    commands: ['apply', 'check', 'remove', 'option'],
    actions: CHANGING
  },
  {
    name: 'git-add',
    kind: 'off',
    help: 'do not register new files with git (git add -N)',
    commands: [...WRITING, 'diff'],
    actions: CHANGING
  },
  {
    name: 'dry-run',
    short: 'n',
    kind: 'switch',
    help: 'show the change and write nothing; exit code 1: there are changes',
    commands: WRITING,
    actions: CHANGING
  },
  {
    name: 'yes',
    short: 'y',
    kind: 'switch',
    help: 'write without asking',
    commands: WRITING,
    actions: CHANGING
  },
  {
    name: 'input',
    kind: 'off',
    help: 'never ask; fail if a question is needed',
    commands: WRITING,
    actions: CHANGING
  },
  {
    name: 'quiet',
    short: 'q',
    kind: 'switch',
    help: 'print only errors; a command that asks also needs --yes',
    helpIn: { scan: 'print only errors', domain: 'print only errors' },
    commands: COMMANDS
  },
  {
    name: 'verbose',
    short: 'v',
    kind: 'switch',
    help: 'also show new files in full, and the reason for each edit',
    helpIn: {
      scan: 'also list bridges that are alone in their group',
      domain: 'print the details of an internal error'
    },
    commands: COMMANDS
  },
  {
    name: 'json',
    kind: 'switch',
    help: 'print one JSON document instead; never asks',
    helpIn: {
      scan: 'print one JSON document instead',
      domain: 'print one JSON document instead'
    },
    commands: COMMANDS
  },
  {
    name: 'color',
    kind: 'text',
    argument: 'WHEN',
    choices: ['auto', 'always', 'never'],
    help: 'color the output: auto (default), always or never',
    commands: COMMANDS
  },
  { name: 'help', short: 'h', kind: 'switch', help: 'print this help', commands: COMMANDS },
  { name: 'version', short: 'V', kind: 'switch', help: 'print the version', commands: COMMANDS }
]

/** Whether a flag takes a value. */
export function takesValue({ kind }: Flag): boolean {
  return kind === 'text' || kind === 'texts'
}

/** The names of a flag without dashes; a toggle has two. */
export function keysOf(flag: Flag): string[] {
  if (flag.kind === 'toggle') return [flag.name, `no-${flag.name}`]
  return [formatFlag(flag).slice(2)]
}

/** The flag with this name or letter, as typed after the dashes. */
export function flagOf(key: string): CommandFlag | undefined {
  return FLAGS.find(it => it.short === key || keysOf(it).includes(key))
}

/** The valid values of a flag; empty for a flag without a fixed list. */
export function choicesOf(key: string): readonly string[] {
  const flag = flagOf(key)
  return (flag && 'choices' in flag && flag.choices) || []
}

/** Whether a command, or an action of `option`, takes a flag. */
export function isTaken(flag: CommandFlag, command: Command, action: Action | undefined): boolean {
  return (
    flag.commands.includes(command) &&
    (action === undefined || flag.actions?.includes(action) !== false)
  )
}
