import { spawnSync } from 'node:child_process'
import { chownSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { makePlace, type Place } from './place.ts'

/** A place whose `/etc/nixos` is a git repository with all its files in the first commit. */
export interface Repository extends Place {
  /** Runs git in the repository as its owner, and returns the output; throws if git fails. */
  git(...args: string[]): string
  /** The lines of `git status --short`. */
  status(): string[]
}

/** The owner of repositories in tests, who is not the user that runs the tests. */
export const OWNER = 4321

/** Makes a repository that belongs to `owner` (and the group with the same number), else to the current user. */
export function makeRepository(
  files: Record<string, string | Uint8Array>,
  owner?: number
): Repository {
  const place = makePlace(files)
  if (owner !== undefined) chownAll(place.nixos, owner)
  const repository = asRepository(place, place.nixos, owner)
  repository.git('init', '-q')
  repository.git('add', '.')
  repository.git('commit', '--allow-empty', '-qm', 'as it was')
  return repository
}

/** Adds git in a folder of the place. */
export function asRepository(place: Place, folder: string, owner?: number): Repository {
  const git = (...args: string[]) => {
    const who = ['-c', 'user.name=Alice', '-c', 'user.email=alice@example.org']
    const run = spawnSync('git', [...who, ...args], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: place.env.PATH, HOME: place.env.HOME, GIT_OPTIONAL_LOCKS: '0' },
      ...(owner === undefined ? {} : { uid: owner, gid: owner })
    })
    if (run.status !== 0) throw new Error(`git ${args.join(' ')}: ${run.stderr}`)
    return run.stdout
  }
  const status = () => git('status', '--short', '-uall').split('\n').filter(Boolean)
  return { ...place, git, status }
}

function chownAll(path: string, owner: number): void {
  chownSync(path, owner, owner)
  for (const it of readdirSync(path, { withFileTypes: true })) {
    if (it.isDirectory()) chownAll(join(path, it.name), owner)
    else chownSync(join(path, it.name), owner, owner)
  }
}
