import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { stamp } from './stamp.ts'

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

/** The files of this package by their path in the folder, as they are installed; reads them from it. */
export function shippedModules(version: string): Map<string, string> {
  return new Map(
    NAMES.map(name => {
      const path = fileURLToPath(new URL(`../../../nixos/${name}`, import.meta.url))
      return [name, stamp(version, readFileSync(path, 'utf8'))]
    })
  )
}
