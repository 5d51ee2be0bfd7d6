// Every flag of every command, in one table: how it is parsed, which commands take it, and its help. The
// flags that say what to set up come from the table of settings.

import type { CheckMode } from '../../plan/evaluate.ts'
import type { Flag } from '../../settings/flag.ts'
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

/** What `option` does. */
export const ACTIONS = ['get', 'set', 'add', 'remove', 'import'] as const
export type Action = (typeof ACTIONS)[number]

/** The values of `--parse-check`. */
export const CHECK_MODES: readonly CheckMode[] = ['auto', 'require', 'off']

/** A flag, and where it can be given. */
export type CommandFlag = Flag & {
  commands: readonly Command[]
  /** The actions of `option` that take it; all if absent. */
  actions?: readonly Action[]
  /** The help in commands where it differs. */
  helpIn?: Partial<Record<Command, string>>
  /** Whether the help aligns its name with those that have a short form. */
  isAligned?: true
}

const PLANNING: readonly Command[] = ['apply', 'diff']
const READING_MACHINE: readonly Command[] = ['scan', 'apply', 'diff', 'check']
const EDITING: readonly Command[] = ['apply', 'diff', 'check', 'remove', 'option']
const WRITING: readonly Command[] = ['apply', 'check', 'remove', 'undo', 'option']
const CHANGING: readonly Action[] = ['set', 'add', 'remove', 'import']

/** The flags in the order of the help. */
export const FLAGS: readonly CommandFlag[] = [
  ...SETTINGS.map(it => ({ ...it, commands: PLANNING })),
  {
    name: 'dump',
    kind: 'text',
    argument: 'DIR',
    help: 'save what was read in this new folder, to be sent or looked at elsewhere; without serial numbers and names that people give',
    commands: ['scan']
  },
  {
    name: 'redo',
    kind: 'switch',
    help: 'redo the run that was undone last; called again, the one before. A new run ends this',
    commands: ['undo']
  },
  {
    name: 'run',
    kind: 'text',
    argument: 'ID',
    help: 'take this run back instead',
    commands: ['undo']
  },
  {
    name: 'list',
    kind: 'switch',
    help: 'list the newest 10 runs for FILE, or for all files, and which of them are in effect',
    commands: ['undo']
  },
  { name: 'all', kind: 'switch', help: 'with --list: list all runs', commands: ['undo'] },
  {
    name: 'flat',
    kind: 'switch',
    help: 'get: one line for each option of the file, or below PATH',
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
    help: 'add: take each VALUE as a line of a text',
    commands: ['option'],
    actions: ['add']
  },
  {
    name: 'at',
    kind: 'text',
    choices: ['end', 'start'],
    help: 'add: where in the list (end)',
    commands: ['option'],
    actions: ['add']
  },
  {
    name: 'to',
    kind: 'text',
    choices: ['nix', 'xml'],
    help: 'what to print (nix)',
    commands: ['domain']
  },
  {
    name: 'mend',
    kind: 'switch',
    help: 'put right what does not fit NixOS of today: paths of other systems, firmware, machine types that are gone, QEMU arguments that libvirt has elements for, a missing UUID or MAC address. Each change is told',
    commands: ['domain']
  },
  {
    name: 'check',
    kind: 'switch',
    help: 'print nothing, and only say whether FILE comes through unchanged',
    commands: ['domain']
  },
  {
    name: 'root',
    kind: 'text',
    argument: 'DIR',
    help: 'work on the system below DIR, e.g. /mnt',
    commands: COMMANDS.filter(it => it !== 'scan' && it !== 'domain')
  },
  {
    name: 'sysfs',
    kind: 'text',
    argument: 'DIR',
    help: 'the machine to look at, as "scan --dump" saved it',
    commands: READING_MACHINE
  },
  {
    name: 'modules-dir',
    kind: 'text',
    argument: 'DIR',
    help: 'the folder for our modules beside FILE (vfio)',
    helpIn: { remove: 'the folder of our modules, if not imported (vfio)' },
    commands: [...PLANNING, 'remove']
  },
  {
    name: 'replace-modules',
    kind: 'switch',
    help: "replace modules of ours that were changed by hand; with --domain, the guest's file as well",
    commands: PLANNING
  },
  {
    name: 'keep-obsolete',
    kind: 'switch',
    help: 'leave values of old guides in FILE that do nothing or do harm today (see "vfio-patch check"), and imports of modules that declare the options of ours',
    commands: PLANNING
  },
  {
    name: 'release',
    kind: 'text',
    argument: 'RELEASE',
    help: 'the NixOS that is built next, e.g. 26.05 (that of the system, else the newest)',
    helpIn: {
      check:
        'the NixOS to check for, e.g. 26.05, or unstable (that of the system, if it is NixOS, else the newest)'
    },
    commands: [...PLANNING, 'check']
  },
  {
    name: 'fix',
    kind: 'switch',
    help: 'mend what an edit mends: show the change, ask, and write it; "vfio-patch undo FILE" takes it back',
    commands: ['check']
  },
  {
    name: 'parse-check',
    kind: 'text',
    choices: CHECK_MODES,
    help: 'ask nix-instantiate about the result (auto)',
    commands: EDITING,
    actions: CHANGING
  },
  {
    name: 'eval',
    kind: 'text',
    argument: 'COMMAND',
    help: 'first run COMMAND over a copy with the change in it; nothing is written if it fails. The copy of the repository or folder is $VFIO_PATCH_TREE, FILE in it is $VFIO_PATCH_FILE',
    commands: EDITING,
    actions: CHANGING
  },
  {
    name: 'output',
    short: 'o',
    kind: 'text',
    argument: 'PATCH',
    help: 'write the change as a patch to this file too',
    commands: EDITING,
    actions: CHANGING
  },
  {
    name: 'unified',
    short: 'U',
    kind: 'text',
    argument: 'N',
    help: 'lines of context in the diff (3)',
    commands: EDITING,
    actions: CHANGING
  },
  {
    name: 'backup',
    kind: 'off',
    isAligned: true,
    help: 'keep no copy, so no undo (with --yes only)',
    commands: ['apply', 'check', 'remove', 'option'],
    actions: CHANGING
  },
  {
    name: 'git-add',
    kind: 'off',
    isAligned: true,
    help: 'do not register new files with git (git add -N)',
    commands: [...WRITING, 'diff'],
    actions: CHANGING
  },
  {
    name: 'dry-run',
    short: 'n',
    kind: 'switch',
    help: 'show, and write nothing; exit code 1: changes',
    commands: WRITING,
    actions: CHANGING
  },
  {
    name: 'yes',
    short: 'y',
    kind: 'switch',
    help: 'do not ask',
    commands: WRITING,
    actions: CHANGING
  },
  {
    name: 'input',
    kind: 'off',
    isAligned: true,
    help: 'never ask; without --yes that is an error',
    commands: WRITING,
    actions: CHANGING
  },
  {
    name: 'quiet',
    short: 'q',
    kind: 'switch',
    help: 'print errors only (with --yes, or where nothing is written)',
    helpIn: { scan: 'print errors only', domain: 'print errors only' },
    commands: COMMANDS
  },
  {
    name: 'verbose',
    short: 'v',
    kind: 'switch',
    help: 'show new files in full too, and what asked for each edit',
    helpIn: {
      scan: 'list bridges that are alone in their group, too',
      domain: 'tell more of an internal error'
    },
    commands: COMMANDS
  },
  {
    name: 'json',
    kind: 'switch',
    isAligned: true,
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
    choices: ['auto', 'always', 'never'],
    isAligned: true,
    help: '',
    commands: COMMANDS
  },
  { name: 'help', short: 'h', kind: 'switch', help: '', commands: COMMANDS },
  // Only the overview shows it, as it goes with no command.
  { name: 'version', short: 'V', kind: 'switch', help: '', commands: COMMANDS }
]
