import { spawnSync } from 'node:child_process'
import { chownSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { makePlace, type Place } from './place.ts'

/** A place whose `/etc/nixos` is a git repository with all that stands there in its first commit. */
export interface Repository extends Place {
  /** Runs git in it as its owner, and gives what it prints; throws where it fails. */
  git(...args: string[]): string
  /** Its state in the short format, a line for each file. */
  status(): string[]
}

/** Whoever owns repositories in tests: not the one who runs them. */
export const OWNER = 4321

/** Makes a repository that belongs to `owner` (with the group of that number), else to us. */
export function makeRepository(
  files: Record<string, string | Uint8Array>,
  owner?: number
): Repository {
  const place = makePlace(files)
  if (owner !== undefined) giveAway(place.nixos, owner)
  const repository = asRepository(place, place.nixos, owner)
  repository.git('init', '-q')
  repository.git('add', '.')
  repository.git('commit', '--allow-empty', '-qm', 'as it was')
  return repository
}

/** The same place, with git in this folder of it. */
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

function giveAway(path: string, owner: number): void {
  chownSync(path, owner, owner)
  for (const it of readdirSync(path, { withFileTypes: true })) {
    if (it.isDirectory()) giveAway(join(path, it.name), owner)
    else chownSync(join(path, it.name), owner, owner)
  }
}
