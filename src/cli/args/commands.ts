// The commands: their operands, their help, and the flags that need or cannot be used together.

import { GROUPS, SETTINGS } from '../../settings/table.ts'
import { ACTIONS, type Action, COMMANDS, type Command } from './flags.ts'

/** A word after the command that is not part of a flag. */
interface Operand {
  name: string
  /** A noun phrase, for the help and for the message if it is missing. */
  help: string
  isOptional?: true
  /** Whether the last operand can be given several times. */
  repeats?: true
}

/** A command, or an action of `option`. */
export interface Call {
  operands: readonly Operand[]
  /** One line, for the list of commands. */
  summary: string
  /** Pairs of flags, without dashes: the first flag requires the second. */
  needs?: readonly (readonly [string, string])[]
  /** Pairs of flags that cannot be used together. */
  conflicts?: readonly (readonly [string, string])[]
}

interface CommandHelp extends Call {
  /** Paragraphs; the help breaks their lines. */
  details: string
  /** Groups of flags with a title; the help lists all other flags after them. */
  groups?: readonly { title: string; flags: readonly string[] }[]
  /** Example calls and their effects. */
  examples?: readonly (readonly [call: string, effect: string])[]
  /** The lines at the end. */
  notes?: string
}

const FILE: Operand = {
  name: 'FILE',
  help: 'the configuration; default $NIXOS_CONFIG or /etc/nixos/configuration.nix',
  isOptional: true
}

const BACKUP_RULE = ['no-backup', 'yes'] as const
const CHOICES = [['line', 'all']] as const

const SETTINGS_GROUPS = GROUPS.map(group => {
  const settings = SETTINGS.filter(it => it.group === group)
  const toggle = settings.find(it => it.kind === 'toggle')
  const negation = toggle ? ` (a switch also has a --no- form, e.g. --no-${toggle.name})` : ''
  return { title: `Settings of ${group}${negation}:`, flags: settings.map(it => it.name) }
})

export const CALLS: Record<Command, CommandHelp> = {
  scan: {
    operands: [],
    summary: 'show which graphics cards a guest can have',
    details:
      'Lists the PCI devices by IOMMU group. Shows for each graphics card its driver, its monitors, and whether it can be passed through to a guest, or why not. Ends with the next step. Needs no root and changes nothing.'
  },
  apply: {
    operands: [FILE],
    summary: 'set up passthrough: show changes, ask, write them',
    details:
      "Shows the changes to your configuration, asks, and writes them. If nothing is set up yet and you pass no settings, it asks which card to use. A setting keeps its value unless you pass its flag, so a second run with the same flags changes nothing. Without flags, it updates vfio-patch's modules.",
    groups: SETTINGS_GROUPS,
    needs: [BACKUP_RULE],
    examples: [
      ['vfio-patch apply --gpu 0000:01:00.0', 'pass this card through to guests'],
      ['vfio-patch apply --domain win10.xml', 'set up this guest and its devices']
    ]
  },
  diff: {
    operands: [FILE],
    summary: 'show what apply would change, and write nothing',
    details:
      'Shows what "apply" with the same flags would change, as a patch for "git apply" or "patch -p1" in the folder of FILE.',
    groups: SETTINGS_GROUPS,
    notes: 'Exit code 0: nothing to do, 1: there are changes.'
  },
  check: {
    operands: [FILE],
    summary: 'find problems in FILE, and how to fix them',
    details: `Looks for problems with passthrough in FILE and the files that it imports: settings that NixOS or the kernel no longer knows, contradictions, and settings that would lock you out. Each finding has its place, the reason and what to do. Notes are harmless.

If networking.hostName names this machine, "check" also compares the configuration with the machine: whether the devices are present, and which settings are active, need a reboot, or are inactive, and why. As root, it also reads the kernel log.`,
    groups: [{ title: 'What to check:', flags: ['sysfs', 'release', 'fix'] }],
    needs: [['yes', 'fix'], ['dry-run', 'fix'], ['output', 'fix'], ['eval', 'fix'], BACKUP_RULE],
    notes: 'Exit code 0: no problems, 1: problems.'
  },
  remove: {
    operands: [FILE],
    summary: 'remove vfio-patch from FILE, keeping your own edits',
    details: `Removes the import of vfio-patch's modules, and every option that only these modules declare, from FILE and the files that it imports, even if you moved them. Then deletes the modules. Keeps everything else, including your edits since "apply". Renames modules that you edited to names that end in .edited. Refuses if other code in your files reads one of these options.`,
    needs: [BACKUP_RULE]
  },
  undo: {
    operands: [FILE],
    summary: 'undo the last run that changed FILE, byte for byte',
    details:
      'Restores FILE byte for byte and deletes the files that the run created. Refuses if one of these files was edited since. Call it again to undo the run before. After an undo that was interrupted or that ended with exit code 8, it only completes that undo.',
    needs: [['all', 'list']],
    conflicts: [['redo', 'run']]
  },
  option: {
    operands: [{ name: 'ACTION', help: 'get, set, add, remove, rename or import' }],
    summary: 'read or edit any option, or import a module',
    details:
      'Reads and edits any option of any module. All actions except get show the change, ask, and write it; "vfio-patch undo FILE" undoes it. If FILE is -, the module is read from standard input and the result is printed, without a question.',
    examples: [
      ['vfio-patch option set pc.nix time.timeZone \'"UTC"\'', ''],
      ['vfio-patch option add pc.nix boot.kernelParams \'"quiet"\'', ''],
      ['vfio-patch option add pc.nix users.users.alice.extraGroups --string kvm', ''],
      ['vfio-patch option set pc.nix my.option true --line 12', ''],
      ['vfio-patch option import pc.nix ./vfio', '']
    ],
    notes: `VALUE is Nix: true, 3, '"text"', '[ 80 443 ]', pkgs.vim. Put -- before a VALUE that begins with a dash. get exits with 1 if the option is not defined.`
  },
  domain: {
    operands: [
      {
        name: 'FILE',
        help: 'the XML of a libvirt guest (virsh dumpxml --inactive NAME), or a module that defines a guest; - is standard input'
      }
    ],
    summary: 'convert a libvirt guest (XML) to Nix, or back',
    details:
      'Prints a module that defines the guest as virtualisation.vfio.guests.NAME.domain: attributes become strings, elements become attribute sets, comments are kept. Converts the result back and compares it with the input, so nothing is lost. If a Nix file is not literal, nix-instantiate evaluates it. Writes no file.',
    groups: [{ title: 'Conversion:', flags: ['to', 'mend', 'check'] }],
    conflicts: [
      ['check', 'mend'],
      ['check', 'to']
    ],
    examples: [
      ['virsh dumpxml --inactive win10 | vfio-patch domain - > win10.nix', ''],
      ['vfio-patch domain win10.nix --to xml > win10.xml', '']
    ]
  }
}

const MODULE_FILE: Operand = { name: 'FILE', help: 'the file of a module; - is standard input' }
const PATH: Operand = {
  name: 'PATH',
  help: 'the attribute path of an option, e.g. boot.kernelParams'
}
const VALUE: Operand = { name: 'VALUE', help: 'a value, written in Nix' }

export const ACTION_CALLS: Record<Action, Call> = {
  get: {
    operands: [MODULE_FILE, { ...PATH, isOptional: true }],
    summary: 'list where PATH and the options below it are defined'
  },
  set: {
    operands: [MODULE_FILE, PATH, VALUE],
    summary: 'set the option to this value',
    needs: [BACKUP_RULE],
    conflicts: CHOICES
  },
  add: {
    operands: [MODULE_FILE, PATH, { ...VALUE, repeats: true }],
    summary: 'add items to a list, or lines to a string',
    needs: [BACKUP_RULE],
    conflicts: CHOICES
  },
  remove: {
    operands: [MODULE_FILE, PATH, { ...VALUE, isOptional: true, repeats: true }],
    summary: 'remove items, or the definition of the option',
    needs: [BACKUP_RULE],
    conflicts: CHOICES
  },
  rename: {
    operands: [
      MODULE_FILE,
      { name: 'OLD', help: 'the attribute path of an option, e.g. hardware.opengl' },
      { name: 'NEW', help: 'its new attribute path, e.g. hardware.graphics' }
    ],
    summary: 'give the option, and those below it, another path',
    needs: [BACKUP_RULE]
  },
  import: {
    operands: [MODULE_FILE, { name: 'MODULE', help: 'the path of a module, e.g. ./vfio' }],
    summary: 'add a path to the imports of the module, or remove it',
    needs: [BACKUP_RULE]
  }
}

/** A call with its operands, as in `option set FILE PATH VALUE`. */
export function formatCall(name: string, { operands }: Call): string {
  const words = operands.map(it => {
    const word = `${it.name}${it.repeats ? '...' : ''}`
    return it.isOptional ? `[${word}]` : word
  })
  return [name, ...words].join(' ')
}

/** How many operands a call takes. */
export function operandCount({ operands }: Call): { least: number; most: number } {
  const repeats = operands.some(it => it.repeats)
  return {
    least: operands.filter(it => !it.isOptional).length,
    most: repeats ? Number.POSITIVE_INFINITY : operands.length
  }
}

/** The words of a command line that are not part of a flag, by their role. */
export interface ResolvedCall {
  command: Command | undefined
  /** The action of `option`. */
  action: Action | undefined
  /** Undefined without a command, and for `option` without an action. */
  call: Call | undefined
  operands: readonly string[]
  /** The word that was typed in place of a command or an action, but is neither. */
  unknownWord?: string
}

/** Finds the command, the action and the operands. Words `after` a `--` are always operands. */
export function resolveCall(before: readonly string[], after: readonly string[]): ResolvedCall {
  const [name, word, ...rest] = before
  const command = COMMANDS.find(it => it === name)
  const none = { command, action: undefined, call: undefined, operands: [] }
  const unknownWord = (command === undefined ? name : word) ?? after[0]
  const unknown = unknownWord === undefined ? none : { ...none, unknownWord }
  if (command === undefined) return unknown
  if (command !== 'option') {
    return { ...none, call: CALLS[command], operands: [...before.slice(1), ...after] }
  }
  const action = ACTIONS.find(it => it === word)
  if (action === undefined) return unknown
  return { command, action, call: ACTION_CALLS[action], operands: [...rest, ...after] }
}

/** The command as messages name it: `apply`, `option set`. */
export function formatCommand({
  command,
  action
}: Pick<ResolvedCall, 'command' | 'action'>): string {
  return [command, action].filter(it => it !== undefined).join(' ')
}
