import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../guests/', import.meta.url))

/** The names of the guests in test/guests/guests. */
export const GUESTS: readonly string[] = readdirSync(folder)
  .filter(it => it.endsWith('.xml'))
  .map(it => it.replace(/\.xml$/, ''))
  .sort()

export function guestXml(name: string): string {
  return readFileSync(`${folder}${name}.xml`, 'utf8')
}

/** The expected Nix of a guest. */
export function guestNix(name: string): string {
  return readFileSync(`${folder}${name}.nix`, 'utf8')
}
