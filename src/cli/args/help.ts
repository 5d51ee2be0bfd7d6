import { formatFlag } from '../../settings/flag.ts'
import { SETTINGS } from '../../settings/table.ts'
import { wrap } from '../output/output.ts'
import { type Command, type CommandFlag, FLAGS } from './flags.ts'

const OVERVIEW = `vfio-patch sets up GPU passthrough in the NixOS configuration that you have.

Usage: vfio-patch COMMAND [FILE] [FLAGS]

Commands:
  scan    show the graphics cards of this machine, and which a guest can have
  apply   show what would change, ask, and write it
  diff    show what would change, and write nothing (as "apply --dry-run")
  check   tell what in FILE does not work, why, and what to do about it
  remove  take everything of ours out of FILE again, and keep your edits
  undo    take the last run that changed FILE back, byte for byte
  option  get, set, add to or remove any option of any module, or import one
  domain  turn a guest of libvirt (its XML) into Nix, or back

Begin with "vfio-patch scan"; it ends with what to do next.
FILE is $NIXOS_CONFIG or /etc/nixos/configuration.nix unless you name one.

  vfio-patch COMMAND --help    the flags of a command
  vfio-patch --version

Exit codes: 0 done or nothing to do, 1 differences that were not written,
2 usage, 3 refused (this file can not be edited safely), 4 can not read or
write, 5 changed meanwhile, 6 the result failed a check, 7 it would lock
you out, 8 written with trouble, 130 cancelled.
`

/** The help of a command: its text, then its flags in sections; one without `flags` has all others. */
interface CommandHelp {
  text: string
  sections: readonly { title?: string; flags?: readonly string[]; note?: string }[]
}

const SETTINGS_SECTION = {
  title: 'What to set up (what you do not name stays as it is):',
  flags: SETTINGS.map(it => it.name),
  note: '  Each switch has a --no- form, e.g. --no-ignore-msrs.'
}

const HELP: Record<Command, CommandHelp> = {
  scan: {
    text: `vfio-patch scan: show the graphics cards of this machine.

Lists all PCI devices by IOMMU group, with what can be told of each card: its
driver, its monitors, whether a guest can have it, and if not, why. Ends with
what to do next. Reads only, and needs no rights.
`,
    sections: [{}]
  },
  apply: {
    text: `vfio-patch apply [FILE]: set up GPU passthrough.

Shows the change to your configuration, asks, and writes it. Where nothing is
set up yet and no flag says what to set up, it asks for the card first. Run
again with the same flags it has nothing to do; without flags it brings our
modules up to date.
`,
    sections: [SETTINGS_SECTION, { title: 'Where and how:' }]
  },
  diff: {
    text: `vfio-patch diff [FILE]: show what "apply" with the same flags would change.

Prints a patch that "git apply" and "patch -p1" take in the folder of FILE.
Exit code 0: nothing to do, 1: there are changes.
`,
    sections: [SETTINGS_SECTION, { title: 'Where and how:' }]
  },
  check: {
    text: `vfio-patch check [FILE]: tell what in a configuration does not work.

Looks through FILE and the files that it imports for what goes wrong with
passing devices through: what NixOS or the kernel no longer knows, what
contradicts itself, what locks you out. Each finding has its place, the reason
and what to do. Notes are worth knowing and do no harm.

If FILE is of this machine, by its networking.hostName, it is held against it
too: whether all that is named is there, and what is active, waits for a reboot,
or is not active, and why. As root it can read the log of the kernel, too.
Exit code 0: no problems, 1: problems.
`,
    sections: [{ flags: ['sysfs', 'release', 'fix'] }, { title: 'Where, and how with --fix:' }]
  },
  remove: {
    text: `vfio-patch remove [FILE]: take everything of ours out again.

Out of FILE and of the files that it imports go the import of our modules and
all options that only they declare, wherever they stand by now; then the modules
themselves. Everything else stays, also your edits since "apply". A module of
ours that you changed is kept beside its place, under a name that ends in
.edited. Refused where something of yours reads one of these options.
`,
    sections: [{ title: 'Where and how:' }]
  },
  undo: {
    text: `vfio-patch undo [FILE]: take the last run that changed FILE back, byte for byte.

Files that the run made go. Refused if a file was edited since. Called again, it
takes the run before that back, and so on. After an undo that was interrupted
or ended with exit code 8 it completes that one, says so, and goes no further.
`,
    sections: [{}]
  },
  option: {
    text: `vfio-patch option: look up and edit any option of any module.

  vfio-patch option get FILE PATH
  vfio-patch option get FILE --flat
  vfio-patch option set FILE PATH VALUE
  vfio-patch option add FILE PATH VALUE...
  vfio-patch option remove FILE PATH [VALUE...]
  vfio-patch option import FILE MODULE

get prints where the option and what lies below it is defined; exit code 1: it
is not. set gives it a value. add puts items into a list, or lines into a text,
that are not there yet. remove takes them out; without a VALUE, the option.
import adds a path such as ./vfio to the module's imports. All but get show the
change, ask, and write it; "vfio-patch undo FILE" takes it back.

VALUE is Nix: true, 3, '"text"', '[ 80 443 ]', pkgs.vim. Put -- before a VALUE
that begins with a dash. If FILE is -, the module is read from standard input
and the result goes to standard output, without a question.
`,
    sections: [{ title: 'What and how:' }]
  },
  domain: {
    text: `vfio-patch domain FILE.xml: turn a guest of libvirt into Nix, or back.

  virsh dumpxml --inactive win10 > win10.xml
  vfio-patch domain win10.xml > win10.nix
  vfio-patch domain win10.nix --to xml > win10.xml

Prints a module with the guest as virtualisation.vfio.guests.NAME.domain:
attributes are texts, elements are sets, comments are kept. It is turned back
and compared first, so nothing gets lost. What a Nix file only computes is asked
of nix-instantiate. If FILE is -, standard input is read. No file is written.
`,
    sections: [{ flags: ['to', 'mend', 'check'] }, {}]
  }
}

/** The help of a command, or the overview. */
export function helpFor(command: Command | undefined): string {
  if (command === undefined) return OVERVIEW
  const { text, sections } = HELP[command]
  const all = FLAGS.filter(it => it.commands.includes(command) && it.name !== 'version')
  const placed = sections.flatMap(it => it.flags ?? [])
  const parts = sections.map(({ title = [], flags, note = [] }) => {
    const own = all.filter(it => (flags ? flags.includes(it.name) : !placed.includes(it.name)))
    const lines = [title, own.flatMap(it => describeFlag(it, command)), note].flat()
    return `${lines.join('\n')}\n`
  })
  return [text, ...parts].join('\n')
}

/** The column that the description of a flag begins in, and that of its end. */
const COLUMN = 27
const WIDTH = 80

/** The lines of the help for a flag. */
export function describeFlag(flag: CommandFlag, command: Command): string[] {
  const indent = flag.isAligned ? '      ' : '  '
  const short = flag.short === undefined ? '' : `-${flag.short}, `
  const call = `${indent}${short}${formatFlag(flag)}${argumentOf(flag)}`
  const text = flag.helpIn?.[command] ?? flag.help
  if (text === '') return [call]
  const since = flag.since === undefined ? '' : ` (NixOS ${flag.since} or later)`
  const [first = '', ...more] = wrap(`${text}${since}`, WIDTH - COLUMN)
  const head =
    call.length < COLUMN ? [call.padEnd(COLUMN) + first] : [call, ' '.repeat(COLUMN) + first]
  return [...head, ...more.map(it => ' '.repeat(COLUMN) + it)]
}

function argumentOf(flag: CommandFlag): string {
  if ('choices' in flag) return ` ${flag.choices.join('|')}`
  return 'argument' in flag ? ` ${flag.argument}` : ''
}
