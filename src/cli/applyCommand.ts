import { writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname } from 'node:path'
import { stampOf } from '../apply/stamp.ts'
import { toChanges } from '../apply/toChanges.ts'
import { commit } from '../files/commit.ts'
import { stateFolder } from '../files/stateFolder.ts'
import { ask } from './ask.ts'
import { EXIT, formatMessage, type Message, usage } from './message.ts'
import { type Context, commitMessage } from './messages.ts'
import type { Arguments } from './parseArguments.ts'
import { nameIn, type Prepared, prepare, readRoot } from './planCommand.ts'
import { paintPatch, patchOf, type ShownFile } from './showDiff.ts'
import { paint, type Screen } from './terminal.ts'
import { VERSION } from './version.ts'
import { warningLine } from './warnings.ts'

/** The streams that a command speaks on. */
export interface Screens {
  out: Screen
  err: Screen
}

/** `apply` and `diff`: shows what would change; `apply` then asks and writes. Returns the exit code. */
export async function applyCommand(
  command: 'apply' | 'diff',
  given: Arguments,
  screens: Screens
): Promise<number> {
  const quiet = given.on('quiet') === true
  const writes = command === 'apply' && given.on('dry-run') !== true
  const misuse = findMisuse(given, writes, quiet)
  if (misuse) return fail(misuse)
  const context = readContext(given)
  if (typeof context !== 'number') return fail(context)

  const prepared = prepare(command, given, screens.err)
  if (!prepared.ok) return fail(prepared.error)
  const { plan, shownPath } = prepared.value
  if (plan.files.length === 0) {
    if (!quiet) say(`Nothing to do: ${shownPath} says all this already.`)
    return EXIT.done
  }
  const patch = patchOf(shownFiles(prepared.value), context)
  const output = given.text('output')
  if (output !== undefined) {
    const problem = savePatch(output, patch)
    if (problem) return fail(problem)
  }
  if (!quiet) show(prepared.value, patch, context, given, screens)
  if (!writes) return EXIT.differences

  if (given.on('yes') !== true) {
    if (!process.stdin.isTTY || !process.stderr.isTTY || given.on('input') === false) {
      return fail(cannotAsk())
    }
    const answer = await ask('Write these changes? [y/N] ')
    if (answer !== 'yes') {
      say(answer === 'cancelled' ? 'Cancelled. Nothing was written.' : 'Nothing was written.')
      return answer === 'cancelled' ? EXIT.cancelled : EXIT.differences
    }
  }
  return write(prepared.value, given, screens)
}

function findMisuse(given: Arguments, writes: boolean, quiet: boolean): Message | undefined {
  const yes = given.on('yes') === true
  if (quiet && writes && !yes) {
    return usage('--quiet does not go with a question.', {
      remedy: 'add --yes, or leave --quiet away'
    })
  }
  if (given.on('backup') === false && !yes) {
    return usage('--no-backup needs --yes.', {
      why: 'without a backup there is no undo, so it has to be meant.',
      remedy: 'add --yes, or leave --no-backup away'
    })
  }
  return undefined
}

function readContext(given: Arguments): number | Message {
  const text = given.text('unified') ?? '3'
  return /^\d{1,4}$/.test(text)
    ? Number(text)
    : usage(`-U needs a number of lines, got "${text}".`, { remedy: 'e.g. -U 5' })
}

function savePatch(path: string, patch: string): Message | undefined {
  try {
    writeFileSync(path, patch)
    return undefined
  } catch (error) {
    const { code = 'EIO' } = error as NodeJS.ErrnoException
    return {
      code: 'NOT_WRITABLE',
      exit: EXIT.io,
      what: `cannot write the patch to ${path} (${code}). Nothing was written.`,
      remedy: 'choose another place for it, e.g. -o /tmp/vfio.patch'
    }
  }
}

function cannotAsk(): Message {
  return usage(
    `cannot ask for confirmation: standard input is not a terminal. Nothing was written.`,
    { remedy: 'look at the change with --dry-run, then add --yes' }
  )
}

function shownFiles({ plan, configuration }: Prepared): ShownFile[] {
  // The person's own file first: it is what they want to see.
  const own = plan.files.filter(it => it.path === configuration.realpath)
  const modules = plan.files.filter(it => it.path !== configuration.realpath)
  return [...own, ...modules].map(({ path, before, after }) => ({
    name: nameIn(configuration, path),
    before,
    after
  }))
}

/** The patch, whole where a program reads it; on a terminal our own new files by name only. */
function show(
  prepared: Prepared,
  patch: string,
  context: number,
  given: Arguments,
  screens: Screens
): void {
  const { check } = prepared
  say(headline(prepared))
  const whole = !screens.out.isTerminal || given.on('verbose') === true
  const files = shownFiles(prepared)
  const isPlain = (it: ShownFile) =>
    it.name !== basename(prepared.configuration.realpath) &&
    (it.before === undefined || stampOf(it.before) === 'intact')
  const brief = whole ? [] : files.filter(isPlain)
  const shown = whole
    ? patch
    : patchOf(
        files.filter(it => !brief.includes(it)),
        context
      )
  process.stdout.write(paintPatch(shown, screens.out))
  for (const { name, before, after = '' } of brief) {
    const lines = after.split('\n').length - 1
    const what = before === undefined ? 'new file' : 'updated'
    say(paint(screens.err, 'dim', `${what}: ${name} (${lines} lines, shown with -v)`))
  }
  const checked = check.status === 'ok' ? 'Checked: parses (nix-instantiate).' : checkedAlone(check)
  say(checked)
}

function checkedAlone(check: Prepared['check']): string {
  const detail = check.status === 'skipped' ? check.detail : ''
  return `Checked: parses (own parser only; ${detail}).`
}

/** `/etc/nixos/configuration.nix: 2 changes; vfio/: 4 new files` */
function headline({ plan, configuration, shownPath }: Prepared): string {
  const count = plan.configuration.edits.length
  const parts = count === 0 ? [] : [`${shownPath}: ${plural(count, 'change')}`]
  const modules = plan.files.filter(it => it.path !== configuration.realpath)
  const [first] = modules
  if (first) {
    const folder = dirname(nameIn(configuration, first.path))
    const fresh = modules.filter(it => it.before === undefined).length
    const updated = modules.length - fresh
    const counts = [
      ...(fresh > 0 ? [plural(fresh, 'new file')] : []),
      ...(updated > 0 ? [`${plural(updated, 'file')} updated`] : [])
    ]
    parts.push(`${folder}/: ${counts.join(', ')}`)
  }
  return parts.join('; ')
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function write(prepared: Prepared, given: Arguments, screens: Screens): number {
  const { plan, configuration, shownPath } = prepared
  const root = readRoot(given)
  if (!root.ok) return fail(root.error)
  const context: Context = {
    command: 'apply',
    file: shownPath,
    color: screens.err.color,
    width: screens.err.width
  }
  const committed = commit(toChanges(plan.files, configuration), {
    stateFolder: stateFolderHere(root.value),
    backup: given.on('backup') !== false,
    command: 'apply',
    tool: VERSION,
    root: root.value
  })
  if (!committed.ok) return fail(commitMessage(committed.error, context))
  const { run, warnings } = committed.value
  for (const it of warnings) process.stderr.write(warningLine(it))
  if (given.on('quiet') !== true) {
    say(`Wrote ${writtenNames(prepared).join(' and ')}.`)
    if (run) say(`Backup: ${run.folder}   Undo: ${sudo()}vfio-patch undo${undoArguments(given)}`)
    say(`Next:   ${sudo()}nixos-rebuild boot && reboot`)
    say('        If there is no picture, pick the previous generation in the boot menu.')
  }
  return warnings.length > 0 ? EXIT.followUp : EXIT.done
}

/** The folder with the backups that this process uses. */
export function stateFolderHere(root: string): string {
  return stateFolder({
    root,
    uid: process.geteuid?.() ?? -1,
    home: homedir(),
    env: process.env
  })
}

function writtenNames({ plan, configuration, shownPath }: Prepared): string[] {
  const modules = plan.files.filter(it => it.path !== configuration.realpath)
  const [first] = modules
  const names: string[] = []
  if (first) {
    const isNew = modules.every(it => it.before === undefined)
    names.push(`${dirname(first.path)}/${isNew ? ' (new)' : ''}`)
  }
  if (plan.configuration.changed) names.push(shownPath)
  return names
}

function undoArguments(given: Arguments): string {
  const root = given.text('root')
  return (
    (given.file === undefined ? '' : ` ${given.file}`) +
    (root === undefined ? '' : ` --root ${root}`)
  )
}

function sudo(): string {
  return process.geteuid?.() === 0 ? 'sudo ' : ''
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Tells a person why it went no further; the exit code that goes with it. */
export function fail(message: Message): number {
  process.stderr.write(formatMessage(message))
  return message.exit
}
