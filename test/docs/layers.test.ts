// The rules of docs/architecture.md on which folder may import which.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, it } from 'vitest'

const SRC = new URL('../../src/', import.meta.url).pathname

const BASE = ['storage', 'nix']
const FACTS = ['settings', 'guests', 'lints', 'machine', 'configuration']

/** The folders of src/ that the files of each folder may import, besides their own. */
const LAYERS: Record<string, readonly string[]> = {
  cli: ['plan', 'check', ...FACTS, ...BASE],
  plan: [...FACTS, ...BASE],
  check: ['lints', 'machine', 'configuration', ...BASE],
  lints: ['configuration', 'nix'],
  settings: ['configuration', 'nix'],
  guests: ['nix'],
  machine: ['nix'],
  configuration: BASE,
  storage: ['nix'],
  nix: []
}

/** The same for the folders of the toolkit. */
const TOOLKIT: Record<string, readonly string[]> = {
  verify: ['edit', 'module', 'syntax', 'text', 'messages'],
  edit: ['module', 'syntax', 'text', 'messages'],
  module: ['syntax', 'text', 'messages'],
  syntax: ['text', 'messages'],
  text: ['messages'],
  messages: []
}

function modulesBelow(folder: string): string[] {
  const all = readdirSync(join(SRC, folder), { recursive: true, encoding: 'utf8' })
  return all.filter(it => it.endsWith('.ts'))
}

/** All imports of the files below a folder, including types and imports at run time; paths start at the folder. */
function importsBelow(folder: string): [from: string, to: string][] {
  return modulesBelow(folder).flatMap(from => {
    const text = readFileSync(join(SRC, folder, from), 'utf8')
    const names = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(it => it[1] ?? '')
    return names.map((to): [string, string] => [from, normalize(join(dirname(from), to))])
  })
}

function forbiddenImports(folder: string, layers: Record<string, readonly string[]>): string[] {
  return importsBelow(folder).flatMap(([from, to]) => {
    const [own, other] = [from, to].map(it => it.split('/')[0] ?? '')
    const isAllowed =
      own === other || other?.endsWith('.ts') || layers[own ?? '']?.includes(other ?? '')
    return isAllowed || own?.endsWith('.ts') ? [] : [`${from} imports ${to}`]
  })
}

/** The groups of files that import each other, directly or through other files. */
function cyclesIn(imports: readonly [from: string, to: string][]): string[][] {
  const targets = new Map(imports.map(([from]) => [from, new Set<string>()]))
  for (const [from, to] of imports) targets.get(from)?.add(to)
  const reached = (from: string): Set<string> => {
    const found = new Set<string>()
    const waiting = [from]
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      for (const to of targets.get(at) ?? []) {
        if (!found.has(to)) waiting.push(to)
        found.add(to)
      }
    }
    return found
  }
  const all = new Map([...targets.keys()].map(it => [it, reached(it)]))
  const cyclic = [...all.keys()].filter(it => all.get(it)?.has(it)).sort()
  const groups = cyclic.map(it =>
    cyclic.filter(other => all.get(it)?.has(other) && all.get(other)?.has(it))
  )
  return groups.filter(([first], i) => first === cyclic[i])
}

it('a folder imports only the folders below it', () => {
  expect(forbiddenImports('', LAYERS)).toEqual([])
})

it('a folder of the toolkit imports only the folders below it', () => {
  expect(forbiddenImports('nix', TOOLKIT)).toEqual([])
})

it('no files import each other in a circle, types included', () => {
  expect(
    cyclesIn([
      ['a', 'b'],
      ['b', 'c'],
      ['c', 'b'],
      ['c', 'd']
    ])
  ).toEqual([['b', 'c']])
  expect(cyclesIn(importsBelow(''))).toEqual([])
})

it('only main.ts and other commands import commands', () => {
  const users = importsBelow('cli').filter(([, to]) => to.startsWith('commands/'))
  const others = users.filter(([from]) => !from.startsWith('commands/'))
  expect([...new Set(others.map(([from]) => from))]).toEqual(['main.ts'])
})

it('only one file loads the parser', () => {
  const all = importsBelow('')
  expect(all.length).toBeGreaterThan(500)
  const natives = modulesBelow('').filter(it =>
    readFileSync(join(SRC, it), 'utf8').includes('prebuilds')
  )
  expect(natives).toEqual(['nix/syntax/tree.ts'])
})
