// Renders the help with yargs, from the tables of commands and flags.

import type { Argv } from 'yargs'
import { ACTION_CALLS, CALLS, formatCall } from './commands.ts'
import { ACTIONS, COMMANDS, type Command, type CommandFlag, FLAGS, keysOf } from './flags.ts'
import { create } from './yargs.ts'

const WIDTH = 80

const OVERVIEW = `vfio-patch sets up GPU passthrough in your NixOS configuration.

Usage: vfio-patch COMMAND [FILE] [FLAGS]`

const NOTES = `"vfio-patch COMMAND --help" lists the flags of a command. Start with "vfio-patch scan", which ends with the next step.

Exit codes:
  0    done, or nothing to do
  1    there are changes that were not written
  2    wrong arguments
  3    refused: the file cannot be edited safely
  4    a file cannot be read or written
  5    a file changed in the meantime
  6    the result failed a check
  7    the change would lock you out
  8    written, but something went wrong afterwards
  130  canceled`

/** The help of a command, or the overview. */
export async function renderHelp(command: Command | undefined): Promise<string> {
  const argv = create([])
    .updateStrings({ 'Positionals:': 'Arguments:' })
    .usageConfiguration({ 'hide-types': true })
    .wrap(WIDTH)
  const help = command === undefined ? describeProgram(argv) : describeCommand(argv, command)
  return `${await help.getHelp()}\n`
}

function describeProgram(argv: Argv): Argv {
  argv.usage(OVERVIEW)
  for (const name of COMMANDS) argv.command(formatCall(name, CALLS[name]), CALLS[name].summary)
  const flags = FLAGS.filter(it => it.name === 'help' || it.name === 'version')
  return describeFlags(argv, 'Flags:', flags, undefined).epilogue(NOTES)
}

function describeCommand(argv: Argv, command: Command): Argv {
  const { details, groups = [], examples = [], notes = '', ...call } = CALLS[command]
  argv.usage(`Usage: vfio-patch ${formatCall(command, call)} [FLAGS]\n\n${details}`)
  const actions = command === 'option' ? ACTIONS.map(it => [it, ACTION_CALLS[it]] as const) : []
  for (const [it, action] of actions)
    argv.command(formatCall(`option ${it}`, action), action.summary)
  const operands = command === 'option' ? actions.flatMap(([, it]) => it.operands) : call.operands
  for (const { name, help } of operands) argv.positional(name, { describe: help, type: 'string' })
  const taken = FLAGS.filter(it => it.commands.includes(command) && it.name !== 'version')
  for (const { title, flags } of groups) {
    describeFlags(
      argv,
      title,
      taken.filter(it => flags.includes(it.name)),
      command
    )
  }
  const grouped = groups.flatMap(it => it.flags)
  describeFlags(
    argv,
    'Flags:',
    taken.filter(it => !grouped.includes(it.name)),
    command
  )
  for (const [line, effect] of examples) argv.example(line, effect)
  return argv.epilogue(notes)
}

function describeFlags(
  argv: Argv,
  title: string,
  flags: readonly CommandFlag[],
  command: Command | undefined
): Argv {
  for (const flag of flags) {
    // yargs can't name the value of a flag, so the flag's name includes it.
    const label = `${keysOf(flag)[0]}${argumentOf(flag)}`
    argv.option(label, {
      describe: descriptionOf(flag, command),
      group: title,
      ...(flag.short === undefined ? {} : { alias: flag.short })
    })
  }
  return argv
}

function argumentOf(flag: CommandFlag): string {
  if ('argument' in flag) return ` ${flag.argument}`
  return 'choices' in flag ? ` ${flag.choices?.join('|')}` : ''
}

function descriptionOf(flag: CommandFlag, command: Command | undefined): string {
  const text = (command && flag.helpIn?.[command]) ?? flag.help
  return flag.since === undefined ? text : `${text} (NixOS ${flag.since} or later)`
}
