import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../guests/', import.meta.url))

/** The names of the guests that are there as XML. */
export const GUESTS: readonly string[] = readdirSync(folder)
  .filter(it => it.endsWith('.xml'))
  .map(it => it.replace(/\.xml$/, ''))
  .sort()

export function guestXml(name: string): string {
  return readFileSync(`${folder}${name}.xml`, 'utf8')
}

/** What is expected of it as Nix. */
export function guestNix(name: string): string {
  return readFileSync(`${folder}${name}.nix`, 'utf8')
}
