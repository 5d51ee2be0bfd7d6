import { basename, dirname } from 'node:path'
import { stampOf } from '../apply/stamp.ts'
import { nameIn, type Prepared } from './prepared.ts'
import { say } from './say.ts'
import { paintPatch, patchOf, type ShownFile } from './showDiff.ts'
import { paint, type Screen } from './terminal.ts'

/** The streams that a command speaks on. */
export interface Screens {
  out: Screen
  err: Screen
}

/** The whole plan as a patch, with so many lines of context. */
export function patchOfPlan(prepared: Prepared, context: number): string {
  return patchOf(shownFiles(prepared), context)
}

/** The patch, whole where a program reads it; on a terminal our own new files by name only. */
export function showPlan(
  prepared: Prepared,
  context: number,
  verbose: boolean,
  screens: Screens
): void {
  say(headline(prepared))
  const configuration = basename(prepared.configuration.realpath)
  const isPlain = ({ name, before }: ShownFile) =>
    name !== configuration && (before === undefined || stampOf(before) === 'intact')
  const files = shownFiles(prepared)
  const brief = screens.out.isTerminal && !verbose ? files.filter(isPlain) : []
  const whole = files.filter(it => !brief.includes(it))
  process.stdout.write(paintPatch(patchOf(whole, context), screens.out))
  for (const { name, before, after = '' } of brief) {
    const lines = after.split('\n').length - 1
    const what = before === undefined ? 'new file' : 'updated'
    say(paint(screens.err, 'dim', `${what}: ${name} (${lines} lines, shown with -v)`))
  }
  say(checkLine(prepared))
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

function checkLine({ check }: Prepared): string {
  return check.status === 'skipped'
    ? `Checked: parses (own parser only; ${check.detail}).`
    : 'Checked: parses (nix-instantiate).'
}

/** `/etc/nixos/configuration.nix: 2 changes; vfio/: 4 new files` */
function headline({ plan, configuration, context }: Prepared): string {
  const count = plan.configuration.edits.length
  const parts = count === 0 ? [] : [`${context.file}: ${plural(count, 'change')}`]
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
