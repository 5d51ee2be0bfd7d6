import { ok, type Result } from '../nix/result.ts'
import { type GitProblem, runGit } from './runGit.ts'
import type { WorkTree } from './workTree.ts'

/** What is listed: what git knows; or also what it does not, but no folders that it ignores. */
export type Listed = 'known' | 'all'

/** The files of a work tree, by their paths in it. A submodule is listed as one path. */
export function listFiles(tree: WorkTree, listed: Listed): Result<string[], GitProblem> {
  const names = new Set<string>()
  const ways = listed === 'known' ? [KNOWN] : [KNOWN, OTHERS, IGNORED]
  for (const way of ways) {
    const run = runGit(tree, ['ls-files', '-z', ...way])
    if (!run.ok) return run
    for (const name of run.value.split('\0')) {
      if (name !== '' && !name.endsWith('/')) names.add(name)
    }
  }
  return ok([...names])
}

const KNOWN = ['--cached']
const OTHERS = ['--others', '--exclude-standard']
const IGNORED = ['--others', '--ignored', '--exclude-standard', '--directory']
