// The shipped modules, as they are expected in a patch and on the disk.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stamp } from '../../../src/configuration/stamp.ts'

const project = fileURLToPath(new URL('../../../', import.meta.url))

export const VERSION: string = JSON.parse(
  readFileSync(join(project, 'package.json'), 'utf8')
).version

const NAMES = [
  'default.nix',
  'vfio.nix',
  'binding.nix',
  'checks.nix',
  'guests.nix',
  'guestService.nix',
  'hooks.nix',
  'libvirt.nix',
  'virtualisation.nix',
  '_lib/defineGuests.nix',
  '_lib/domain.nix',
  '_lib/domainTables.nix'
]

/** The modules that a run installs, by name. */
export function installedModules(): Record<string, string> {
  return Object.fromEntries(
    NAMES.map(it => [it, stamp(VERSION, readFileSync(join(project, 'nixos', it), 'utf8'))])
  )
}

/** The part of a patch that adds the modules in a folder. */
export function patchOfModules(folder = 'vfio'): string {
  const parts = Object.entries(installedModules()).map(([name, text]) => {
    const lines = text.replace(/\n$/, '').split('\n')
    const head = ['--- /dev/null', `+++ b/${folder}/${name}`, `@@ -0,0 +1,${lines.length} @@`]
    return [...head, ...lines.map(it => `+${it}`), ''].join('\n')
  })
  return parts.join('')
}

/** The part of a patch that deletes the modules, in the order in which undo deletes them. */
export function patchWithoutModules(folder: string): string {
  const parts = Object.entries(installedModules()).map(([name, text]) => {
    const lines = text.replace(/\n$/, '').split('\n')
    const head = [`--- a/${folder}/${name}`, '+++ /dev/null', `@@ -1,${lines.length} +0,0 @@`]
    return [...head, ...lines.map(it => `-${it}`), ''].join('\n')
  })
  return parts.reverse().join('')
}

/** The line that a terminal shows in place of the patch of the modules. */
export function namesOfModules(folder = 'vfio', what = 'new files'): string {
  const modules = Object.values(installedModules())
  const lines = modules.reduce((sum, it) => sum + it.split('\n').length - 1, 0)
  return `<dim>${what}: ${folder}/ (${modules.length} files, ${lines} lines, shown with -v)</>\n`
}
