import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openFiles } from '../../src/configuration/files.ts'

/** A repository with two files, and the `Files` of one run. */
function repository() {
  const top = mkdtempSync(join(tmpdir(), 'vfio-patch-'))
  onTestFinished(() => rmSync(top, { recursive: true }))
  const path = (name: string) => join(top, name)
  mkdirSync(path('.git'))
  writeFileSync(path('a.nix'), '{ }')
  writeFileSync(path('b.nix'), '{ vfio = { }; }')
  return { path, files: openFiles('/') }
}

test('`changed` reports nothing right after reading', () => {
  const { path, files } = repository()
  files.module(path('a.nix'))
  files.module(path('missing.nix'))
  files.folder(path('missing'))
  files.flakeOf(path('a.nix'))
  expect(files.around(path('a.nix'), /vfio/).map(it => it.path)).toEqual([path('b.nix')])
  expect(files.changed()).toEqual([])
})

test('`changed` reports a file that was edited, created or deleted after it was read', () => {
  const { path, files } = repository()
  for (const name of ['a.nix', 'b.nix', 'new.nix', 'other.nix']) files.module(path(name))
  writeFileSync(path('a.nix'), '{ x = 1; }')
  rmSync(path('b.nix'))
  writeFileSync(path('new.nix'), '{ }')
  expect(files.changed()).toEqual([path('a.nix'), path('b.nix'), path('new.nix')])
})

test('`changed` reports a search that would now find another file', () => {
  const { path, files } = repository()
  files.around(path('a.nix'), /vfio/)
  writeFileSync(path('unrelated.nix'), '{ }')
  expect(files.changed()).toEqual([])
  writeFileSync(path('c.nix'), '{ vfio.x = 1; }')
  expect(files.changed()).toEqual([path('a.nix')])
})

test('`changed` reports the search for a flake after a flake.nix was created', () => {
  const { path, files } = repository()
  expect(files.flakeOf(path('a.nix'))).toBeUndefined()
  writeFileSync(path('flake.nix'), '{ outputs = _: { }; }')
  expect(files.changed()).toEqual([path('a.nix')])
})
