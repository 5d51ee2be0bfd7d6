import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { stamp } from './stamp.ts'

const NAMES = [
  'default.nix',
  'vfio.nix',
  'binding.nix',
  'checks.nix',
  'hooks.nix',
  'libvirt.nix',
  'virtualisation.nix'
]

/** The modules of this package by file name, as they are installed; reads them from the package. */
export function shippedModules(version: string): Map<string, string> {
  return new Map(
    NAMES.map(name => {
      const path = fileURLToPath(new URL(`../../nixos/${name}`, import.meta.url))
      return [name, stamp(version, readFileSync(path, 'utf8'))]
    })
  )
}
