import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { err, ok, type Result } from '../../nix/result.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import { type Message, usage } from '../message.ts'

/**
 * The release of NixOS that `--release` names, else that of the system below the root; undefined
 * where that is no NixOS, or does not say.
 */
export function readRelease(given: Arguments, root: string): Result<string | undefined, Message> {
  const named = given.text('release')
  if (named === undefined) return ok(releaseOf(root))
  if (/^\d\d\.(?:05|11)$/.test(named)) return ok(named)
  if (named === 'unstable') return ok(undefined)
  return err(
    usage(`--release takes a release of NixOS, got "${named}".`, {
      remedy: 'give it like 26.05, or unstable'
    })
  )
}

function releaseOf(root: string): string | undefined {
  try {
    const text = readFileSync(join(root, 'etc/os-release'), 'utf8')
    if (!/^ID="?nixos"?$/m.test(text)) return undefined
    return /^VERSION_ID="?(\d\d\.(?:05|11))"?$/m.exec(text)?.[1]
  } catch {
    return undefined
  }
}
