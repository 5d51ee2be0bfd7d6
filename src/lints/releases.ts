import { spellingOf, type View } from './configuration.ts'

/** The default kernels of the releases of NixOS. */
const KERNELS: readonly (readonly [release: string, kernel: string])[] = [
  ['23.05', '6.1'],
  ['23.11', '6.1'],
  ['24.05', '6.6'],
  ['24.11', '6.6'],
  ['25.05', '6.12'],
  ['25.11', '6.12'],
  ['26.05', '6.18']
]

/** Whether the system is of this release or a later one; yes where that is unknown. */
export function isSince({ facts }: View, release: string): boolean {
  return facts.release === undefined || !isOlder(facts.release, release)
}

/**
 * Whether the kernel is of this version or a later one, as far as the configuration or its release
 * tells; yes where that is unknown, since all releases that are kept up have Linux 6.12 or later.
 */
export function hasKernel(view: View, version: string): boolean {
  const chosen = view.at('boot.kernelPackages').map(spellingOf)
  const numbers = chosen.flatMap(it => {
    const found = /linux(?:Packages|_xanmod|_zen|kernel|_hardened)*_(\d+)_(\d+)/.exec(it)
    return found ? [`${found[1]}.${found[2]}`] : []
  })
  if (numbers.length > 0) return numbers.some(it => !isOlder(it, version))
  if (chosen.length > 0) return true
  const known = KERNELS.find(([release]) => release === view.facts.release)
  return known === undefined || !isOlder(known[1], version)
}

function isOlder(a: string, b: string): boolean {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number)
  const [majorB = 0, minorB = 0] = b.split('.').map(Number)
  return majorA < majorB || (majorA === majorB && minorA < minorB)
}
