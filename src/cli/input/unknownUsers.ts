import { isInFlake } from '../../apply/read/repository.ts'
import { viewsOf } from '../../lints/configuration.ts'
import { type NixDocument, parseDocument } from '../../nix/index.ts'
import { list } from '../messages/deviceWords.ts'

/**
 * What to know where `--user` names people that the files of a configuration don't define, though they define
 * others. Nothing where one of their names can't be read in the text, nor in a flake, which may add modules.
 */
export function unknownUsers(
  named: readonly string[],
  files: readonly { path: string; text: string }[]
): string[] {
  if (files.some(it => isInFlake(it.path))) return []
  const parsed = files.map(({ path, text }) => ({ path, doc: parseDocument(text) }))
  const views = viewsOf(parsed, { ours: true })
  const entries = views.flatMap(it => [...it.below('users.users'), ...it.below('users.extraUsers')])
  const people = entries
    .filter(({ path }) => path[3] === 'isNormalUser')
    .map(({ path: [, , name = ''] }) => name)
  const known = new Set(entries.map(({ path: [, , name] }) => name))
  const unknown = named.filter(it => it !== 'root' && !known.has(it))
  if (people.length === 0 || unknown.length === 0 || parsed.some(it => hasComputed(it.doc)))
    return []
  return [
    `Note: no user is called ${list(unknown, 'or')} in the configuration, as far as it can be read; there is ${list([...new Set(people)])}.`
  ]
}

/** Whether it gives a user a name that only Nix computes. */
function hasComputed(doc: NixDocument): boolean {
  return ['users', 'users.users', 'users.extraUsers'].some(
    it =>
      doc.getBelow(it).some(({ path }) => path.length > 2 && path[2] === undefined) ||
      doc.getIn(it).some(({ source }) => /\$\{[^}]*\}"?\s*[.=]/.test(source))
  )
}
