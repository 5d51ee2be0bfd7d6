import { type Definition, formatPath, parseDocument } from '../nix/index.ts'
import { spellPath, startsWith } from '../nix/path.ts'
import { type Context, nameOfFile } from './context.ts'
import { EXIT, type Message } from './message.ts'
import { nixMessage } from './messages.ts'
import type { Asked } from './optionArguments.ts'
import { fail } from './say.ts'

type AskedGet = Asked & { action: 'get' }

/**
 * Prints the definitions of an option and of what lies below it, or with `flat` one line for each
 * leaf. Returns the exit code, which says whether there are any.
 */
export function optionGet(text: string, asked: AskedGet, context: Context, quiet: boolean): number {
  const document = parseDocument(text)
  const module = document.module()
  if (!module.ok) return fail(nixMessage(module.error, context, ''))
  const { path } = asked
  const blocks: string[] = []
  if (asked.flat) {
    const wanted = path ?? []
    for (const it of document.leaves().filter(it => startsWith(it.path, wanted))) {
      const source = text.slice(it.value.start, it.value.end)
      const [first = '', ...more] = source.split(/\r?\n/)
      blocks.push(`${spellPath(it.path)} = ${first}${more.length > 0 ? ' …' : ''}`)
    }
  } else if (path) {
    const all = [...document.getIn(path), ...document.getBelow(path)]
    all.sort((a, b) => a.binding.start - b.binding.start)
    blocks.push(...all.map(it => describe(it, context)))
  }
  if (blocks.length > 0) {
    process.stdout.write(`${blocks.join('\n')}\n`)
    return EXIT.done
  }
  return quiet ? EXIT.differences : fail(undefinedHere(path, context))
}

/** `FILE:LINE:COL PATH = SOURCE`, and behind it what has to hold for it and which priority it has. */
function describe(definition: Definition, { file }: Context): string {
  const { path, at, source, inherited, conditions, priorities } = definition
  const remarks = [
    ...(conditions.length > 0 ? [`only if ${conditions.join(' and ')}`] : []),
    ...(priorities.length > 0 ? [`with ${priorities.join(', ')}`] : []),
    ...(inherited ? ['inherited'] : [])
  ]
  const remark = remarks.length > 0 ? ` # ${remarks.join('; ').replace(/\s+/g, ' ')}` : ''
  return `${file}:${at.line}:${at.column} ${spellPath(path)} = ${source}${remark}`
}

function undefinedHere(path: readonly string[] | undefined, context: Context): Message {
  return {
    code: 'NOT_DEFINED',
    exit: EXIT.differences,
    what: `${nameOfFile(context)} does not define ${path === undefined ? 'anything' : formatPath(path)}.`
  }
}
