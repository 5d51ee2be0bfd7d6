// The words for registering new and deleted files with git.

import { relative } from 'node:path'
import type { GitProblem, Registration } from '../../storage/git.ts'
import { type Message, plural, shellWord } from '../message.ts'

/** What will be done, for the plan: a line for each thing. */
export function registrationLines(registrations: readonly Registration[]): string[] {
  return registrations.flatMap(({ add, forget, ignored, problem }) => [
    ...(add.length > 0 && problem ? [problemLine(add, problem)] : []),
    ...(add.length > 0 && !problem
      ? [`git: ${plural(add.length, 'new file')} will be registered (git add -N), not committed.`]
      : []),
    ...(forget.length > 0
      ? [
          `git: ${plural(forget.length, 'file')} that ${forget.length === 1 ? 'was' : 'were'} only registered will be forgotten.`
        ]
      : []),
    ...(ignored.length > 0
      ? [
          `git: ${plural(ignored.length, 'new file')} will not be registered, as git ignores ${ignored.length === 1 ? 'it' : 'them'}.`
        ]
      : [])
  ])
}

function problemLine(add: readonly string[], problem: GitProblem): string {
  // Only root can run git as the owner of the repository.
  const needsSudo = problem.code === 'OTHER_OWNER' && process.geteuid?.() !== 0
  return needsSudo
    ? `git: sudo is needed to see to ${plural(add.length, 'new file')}, as the repository belongs to another user.`
    : `git: ${plural(add.length, 'new file')} can not be registered: ${reasonOf(problem)}.`
}

function reasonOf(problem: GitProblem): string {
  return problem.code === 'NOT_FOUND'
    ? 'git was not found'
    : (problem.output ?? 'it gave no reason')
}

/** Git ignores some of the files that were written. */
export function ignoredMessage({ tree, ignored }: Registration, file: string): Message {
  const names = ignored.map(it => relative(tree.top, it))
  const git = `git -C ${shellWord(tree.top)}`
  return {
    code: 'GIT_IGNORED',
    isWarning: true,
    what: `wrote ${file}, but git could not register ${names.join(', ')}: a rule tells it to ignore ${names.length === 1 ? 'it' : 'them'}.`,
    why: 'a flake only sees files known to git.',
    remedy: [
      `find the rule and take it out: ${git} check-ignore -v ${words(names)}`,
      `then: ${git} add -N ${words(names)}`,
      'or, if it is no flake, next time: --no-git-add'
    ].join('\n')
  }
}

/** Git did not register what was created or deleted: what to do by hand. `file` is the configuration. */
export function registerMessage(
  { tree, add, forget }: Registration,
  problem: GitProblem,
  file: string
): Message {
  const names = [...add, ...forget].map(it => relative(tree.top, it))
  const git = `git -C ${shellWord(tree.top)}`
  const isAdding = add.length > 0
  return {
    code: 'GIT_FAILED',
    isWarning: true,
    what: `wrote ${file}, but git could not ${isAdding ? 'register' : 'forget'} ${names.join(', ')}: ${reasonOf(problem)}.`,
    why: isAdding ? 'a flake only sees files known to git.' : 'git calls them deleted until then.',
    remedy: `${git} ${isAdding ? 'add -N' : 'rm --cached'} ${words(names)}`
  }
}

function words(names: readonly string[]): string {
  return names.map(shellWord).join(' ')
}
