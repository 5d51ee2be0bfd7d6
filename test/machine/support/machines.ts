import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Machine } from '../../../src/machine/machine.ts'
import { openMachine, readMachine } from '../../../src/machine/read/machine.ts'
import type { Source } from '../../../src/machine/source.ts'

const MACHINES = fileURLToPath(new URL('../machines/', import.meta.url))

/** The dumps of example machines, as `scan --dump` writes them. */
export const NAMES: readonly string[] = readdirSync(MACHINES).sort()

export function folderOf(name: string): string {
  return join(MACHINES, name)
}

/** The texts of a dump by file name. */
export function textsOf(name: string): Map<string, string> {
  const files = readdirSync(folderOf(name)).filter(it => it.endsWith('.txt'))
  return new Map(files.sort().map(it => [it, readFileSync(join(folderOf(name), it), 'utf8')]))
}

export function sourceOf(name: string): Source {
  const opened = openMachine(folderOf(name))
  if (!opened.ok) throw new Error(`${name}: ${opened.error.code}`)
  return opened.value.source
}

export function machineCalled(name: string): Machine {
  return readMachine(sourceOf(name))
}
