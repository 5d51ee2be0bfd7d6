// What docs/architecture.md says of who may use whom.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, it } from 'vitest'

const SRC = new URL('../../src/', import.meta.url).pathname

const PARTS = ['vfio', 'lints', 'libvirt', 'host', 'files', 'git']

/** The floors that the files of a floor may use besides their own. */
const FLOORS: Record<string, readonly string[]> = {
  cli: ['apply', 'check', ...PARTS, 'nix', 'system'],
  apply: [...PARTS, 'nix', 'system'],
  check: [...PARTS, 'nix', 'system'],
  ...Object.fromEntries(PARTS.map(it => [it, ['nix', 'system']])),
  nix: [],
  system: []
}

/** The same of the folders of the toolkit. */
const TOOLKIT: Record<string, readonly string[]> = {
  proof: ['edit', 'module', 'syntax', 'text'],
  edit: ['module', 'syntax', 'text'],
  module: ['syntax', 'text'],
  syntax: ['text'],
  text: []
}

function modulesBelow(folder: string): string[] {
  const all = readdirSync(join(SRC, folder), { recursive: true, encoding: 'utf8' })
  return all.filter(it => it.endsWith('.ts'))
}

/** The files that each file below a folder imports, from that folder on. */
function importsBelow(folder: string): [from: string, to: string][] {
  return modulesBelow(folder).flatMap(from => {
    const text = readFileSync(join(SRC, folder, from), 'utf8')
    const names = [...text.matchAll(/(?:from|import)\s+'(\.[^']+)'/g)].map(it => it[1] ?? '')
    return names.map((to): [string, string] => [from, normalize(join(dirname(from), to))])
  })
}

function strays(folder: string, floors: Record<string, readonly string[]>): string[] {
  return importsBelow(folder).flatMap(([from, to]) => {
    const [own, other] = [from, to].map(it => it.split('/')[0] ?? '')
    const allowed =
      own === other || other?.endsWith('.ts') || floors[own ?? '']?.includes(other ?? '')
    return allowed || own?.endsWith('.ts') ? [] : [`${from} uses ${to}`]
  })
}

it('a floor uses those below it only', () => {
  expect(strays('', FLOORS)).toEqual([])
})

it('so does a folder of the toolkit', () => {
  expect(strays('nix', TOOLKIT)).toEqual([])
})

it('commands stand on top of the command line', () => {
  const users = importsBelow('cli').filter(([, to]) => to.startsWith('commands/'))
  const others = users.filter(([from]) => !from.startsWith('commands/'))
  expect([...new Set(others.map(([from]) => from))]).toEqual([])
})

it('one file knows the parser, and the toolkit nothing of the rest', () => {
  const all = importsBelow('')
  expect(all.length).toBeGreaterThan(500)
  const natives = modulesBelow('').filter(it =>
    readFileSync(join(SRC, it), 'utf8').includes('prebuilds')
  )
  expect(natives).toEqual(['nix/syntax/parser.ts'])
})
