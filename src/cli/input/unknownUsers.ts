import { isInFlake } from '../../apply/read/repository.ts'
import { type Entry, spellingOf, viewsOf } from '../../lints/configuration.ts'
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
  const { people, all, isComputed } = declaredUsers(files)
  const unknown = named.filter(it => it !== 'root' && !all.includes(it))
  if (people.length === 0 || unknown.length === 0 || isComputed) return []
  return [
    `Note: no user is called ${list(unknown, 'or')} in the configuration, as far as it can be read; there is ${list(people)}.`
  ]
}

/** The users that files of a configuration declare, in any boot entry. */
export interface DeclaredUsers {
  /** Those that are people (`isNormalUser`), in the order of the files. */
  people: string[]
  all: string[]
  /** Whether there may be others, whose names only Nix computes. */
  isComputed: boolean
}

/** Reads the users out of the texts of a configuration's files. */
export function declaredUsers(files: readonly { path: string; text: string }[]): DeclaredUsers {
  const parsed = files.map(({ path, text }) => ({ path, doc: parseDocument(text) }))
  const views = viewsOf(parsed, { ours: true })
  const entries = views.flatMap(it => [...it.below('users.users'), ...it.below('users.extraUsers')])
  const people = entries.filter(it => it.path[3] === 'isNormalUser' && spellingOf(it) !== 'false')
  const namesOf = (all: readonly Entry[]) => [...new Set(all.map(it => it.path[2] ?? ''))]
  const isComputed = parsed.some(it => hasComputed(it.doc))
  return { people: namesOf(people), all: namesOf(entries), isComputed }
}

/** Whether it gives a user a name that only Nix computes. */
function hasComputed(doc: NixDocument): boolean {
  return ['users', 'users.users', 'users.extraUsers'].some(
    it =>
      doc.getBelow(it).some(({ path }) => path.length > 2 && path[2] === undefined) ||
      doc.getIn(it).some(({ source }) => /\$\{[^}]*\}"?\s*[.=]/.test(source))
  )
}
