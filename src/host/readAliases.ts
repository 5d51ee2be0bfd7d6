import type { Source } from './source.ts'

/** Which modules say that they are drivers for a device, by its modalias. */
export type Drivers = (modalias: string) => string[]

/**
 * What the running kernel's modules say that they drive. `modules` is the folder with `lib/modules` that
 * the system booted with, where that is known.
 */
export function readAliases(
  source: Source,
  kernel: string | undefined,
  modules: string | undefined
): Drivers {
  const folders = [...(modules === undefined ? [] : [modules]), '']
  const texts = folders.map(it => source.text(`${it}/lib/modules/${kernel}/modules.alias`))
  const text = kernel === undefined ? undefined : texts.find(it => it !== undefined)
  return text === undefined ? () => [] : driversIn(text)
}

/** The same from the text of a `modules.alias`. */
export function driversIn(text: string): Drivers {
  const byVendor = new Map<string, { pattern: string; module: string }[]>()
  for (const [, pattern = '', module = ''] of text.matchAll(/^alias (pci:v\S+) (\S+)$/gm)) {
    const vendor = vendorOf(pattern)
    const known = byVendor.get(vendor)
    if (known) known.push({ pattern, module })
    else byVendor.set(vendor, [{ pattern, module }])
  }
  return modalias => {
    const own = [...(byVendor.get(vendorOf(modalias)) ?? []), ...(byVendor.get('') ?? [])]
    const names = own.filter(it => fits(modalias, it.pattern)).map(it => it.module)
    return [...new Set(names.map(it => it.replaceAll('-', '_')))].sort()
  }
}

/** The lines of a `modules.alias` that are about one of these devices. */
export function linesAbout(text: string, modaliases: readonly string[]): string {
  const lines = text.match(/^alias pci:v\S+ \S+$/gm) ?? []
  const about = (pattern: string) =>
    modaliases.some(it => ['', vendorOf(it)].includes(vendorOf(pattern)) && fits(it, pattern))
  return lines
    .filter(it => about(it.split(' ')[1] ?? ''))
    .map(it => `${it}\n`)
    .join('')
}

/** Blank for a pattern that takes any. */
function vendorOf(alias: string): string {
  return /^pci:v([0-9A-F]{8})/.exec(alias)?.[1] ?? ''
}

/** Patterns of PCI devices have stars, and nothing else that is special to a shell. */
function fits(modalias: string, pattern: string): boolean {
  const parts = pattern.split('*').map(it => it.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(modalias)
}
