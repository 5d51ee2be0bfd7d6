import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { uniqueBy } from '../collections.ts'
import type { AttrPath } from '../nix/index.ts'
import { literalNames, startsWith } from '../nix/path.ts'
import { once, type SourceFile, sourceFile } from './files.ts'
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

/** The modules in this package, with the text that is installed. */
export interface ShippedModules {
  /** By path in the folder, such as `_lib/domain.nix`. */
  readonly texts: ReadonlyMap<string, string>
  readonly files: readonly SourceFile[]
  /** The options that exist only because of these modules. */
  readonly exclusive: readonly AttrPath[]
  /** The full paths of all declared options. */
  readonly declared: readonly AttrPath[]
}

/** Reads the modules from the package. They are parsed at the first use of `exclusive` or `declared`. */
export function shippedModules(version: string): ShippedModules {
  const files = NAMES.map(name => {
    const path = fileURLToPath(new URL(`../../nixos/${name}`, import.meta.url))
    return sourceFile(name, stamp(version, readFileSync(path, 'utf8')))
  })
  const exclusive = once(() => exclusiveOptions(files))
  const declared = once(() => declaredOptions(files))
  return {
    texts: new Map(files.map(it => [it.path, it.text])),
    files,
    get exclusive() {
      return exclusive()
    },
    get declared() {
      return declared()
    }
  }
}

/**
 * The options that exist only because of these modules: `virtualisation.vfio` as a whole, and the
 * declared options in `virtualisation.libvirtd`. They are read from the declarations, so there is no
 * separate list to maintain. A set of options is listed as a whole unless the modules define an option
 * inside it that they do not declare. Another module then declares that option, so the set is shared.
 */
export function exclusiveOptions(modules: readonly SourceFile[]): AttrPath[] {
  const declared = declaredOptions(modules)
  const defined = modules.flatMap(it => it.doc.leaves()).map(it => literalNames(it.path))
  const shared = new Set(
    defined
      .filter(path => !declared.some(it => startsWith(path, it)))
      .flatMap(path => path.map((_, i) => keyOf(path.slice(0, i))))
  )
  const roots = declared.map(path => {
    const length = path.findIndex((_, i) => i > 0 && !shared.has(keyOf(path.slice(0, i))))
    return length === -1 ? path : path.slice(0, length)
  })
  return uniqueBy(roots, keyOf)
}

/** The paths of all options that modules declare, up to the first computed name. */
function declaredOptions(modules: readonly SourceFile[]): AttrPath[] {
  return modules
    .flatMap(it => it.doc.leaves())
    .filter(it => it.path[0] === 'options')
    .map(it => literalNames(it.path).slice(1))
}

function keyOf(path: AttrPath): string {
  return JSON.stringify(path)
}
