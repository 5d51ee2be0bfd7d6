// Registering new and deleted files with git.

import { relative } from 'node:path'
import type { GitProblem, Registration } from '../../storage/git.ts'
import { type Message, plural, shellWord } from '../message.ts'

/** The lines about git in a plan: what it will register, remove and ignore. */
export function registrationLines(registrations: readonly Registration[]): string[] {
  return registrations.flatMap(({ add, forget, ignored, problem }) => [
    ...(add.length > 0 && problem ? [problemLine(add, problem)] : []),
    ...(add.length > 0 && !problem
      ? [`git: ${plural(add.length, 'new file')} will be registered (git add -N), not committed.`]
      : []),
    ...(forget.length > 0
      ? [
          `git: ${plural(forget.length, 'registered file')} will be removed from the index (git rm --cached).`
        ]
      : []),
    ...(ignored.length > 0
      ? [
          `git: ${plural(ignored.length, 'new file')} will not be registered, because git ignores ${ignored.length === 1 ? 'it' : 'them'}.`
        ]
      : [])
  ])
}

function problemLine(add: readonly string[], problem: GitProblem): string {
  // Only root can run git as the owner of the repository.
  const needsSudo = problem.code === 'OTHER_OWNER' && process.geteuid?.() !== 0
  return needsSudo
    ? `git: sudo is needed to register ${plural(add.length, 'new file')}, because the repository belongs to another user.`
    : `git: ${plural(add.length, 'new file')} cannot be registered: ${reasonOf(problem)}.`
}

function reasonOf(problem: GitProblem): string {
  return problem.code === 'NOT_FOUND'
    ? 'git was not found'
    : (problem.output ?? 'it gave no reason')
}

/** Some of the files that were written are ignored by git. */
export function ignoredMessage({ tree, ignored }: Registration): Message {
  const names = ignored.map(it => relative(tree.top, it))
  const git = `git -C ${shellWord(tree.top)}`
  return {
    code: 'GIT_IGNORED',
    isWarning: true,
    what: `git could not register ${names.join(', ')}: a .gitignore rule excludes ${names.length === 1 ? 'it' : 'them'}.`,
    why: 'a flake only sees files known to git.',
    remedy: [
      `find the rule and remove it: ${git} check-ignore -v ${words(names)}`,
      `then: ${git} add -N ${words(names)}`,
      'or, if this is not a flake, add next time: --no-git-add'
    ].join('\n')
  }
}

/** Git could not register files that were created or deleted. */
export function registerMessage({ tree, add, forget }: Registration, problem: GitProblem): Message {
  const names = [...add, ...forget].map(it => relative(tree.top, it))
  const git = `git -C ${shellWord(tree.top)}`
  const isAdding = add.length > 0
  return {
    code: 'GIT_FAILED',
    isWarning: true,
    what: `git could not ${isAdding ? 'register' : 'unregister'} ${names.join(', ')}: ${reasonOf(problem)}.`,
    why: isAdding
      ? 'a flake only sees files known to git.'
      : 'git reports them as deleted until they are unregistered.',
    remedy: `${git} ${isAdding ? 'add -N' : 'rm --cached'} ${words(names)}`
  }
}

function words(names: readonly string[]): string {
  return names.map(shellWord).join(' ')
}
