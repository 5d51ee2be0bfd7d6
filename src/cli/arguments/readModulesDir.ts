import { isAbsolute, normalize } from 'node:path'
import { err, ok, type Result } from '../../nix/result.ts'
import { type Message, usage } from '../message.ts'
import type { Arguments } from './parseArguments.ts'

/** The folder that `--modules-dir` names, relative to that of the configuration. */
export function readModulesDir(given: Arguments): Result<string | undefined, Message> {
  const spelt = given.text('modules-dir')
  if (spelt === undefined) return ok(undefined)
  const path = normalize(spelt).replace(/\/$/, '')
  if (isAbsolute(path) || path.startsWith('..') || path === '.') {
    return err(
      usage(`--modules-dir needs a folder beside the configuration, got "${spelt}".`, {
        remedy: 'e.g. --modules-dir modules/vfio'
      })
    )
  }
  return ok(path)
}
