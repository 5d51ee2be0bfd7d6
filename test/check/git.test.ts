// Files of a flake that git does not track, so Nix does not see them.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { findGitFaults } from '../../src/check/gitFaults.ts'
import { openFiles } from '../../src/configuration/files.ts'
import { walkImports } from '../../src/configuration/imports.ts'
import { installedModules } from '../cli/support/modules.ts'
import { needing } from '../cli/support/needing.ts'
import { makeRepository, type Repository } from '../cli/support/repository.ts'

const test = needing('git')

const CONFIGURATION = `{
  imports = [ ./hardware.nix ./vfio ];
  environment.etc."hook".source = ./files/hook.sh;
  environment.etc."gone".source = ./gone;
}
`
const FLAKE = { 'flake.nix': '{ outputs = _: { }; }\n' }
const KNOWN = { 'configuration.nix': CONFIGURATION, 'hardware.nix': '{ }\n' }

function add(place: Repository, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(place.nixos, name)), { recursive: true })
    writeFileSync(join(place.nixos, name), text)
  }
}

/** The findings, each with the path literal in the file, the message and the remedy. */
function found(place: Repository, name = 'configuration.nix'): string[] {
  const sources = openFiles('/')
  const module = sources.module(join(place.nixos, name))
  if (!module) throw new Error('no file')
  const { files } = walkImports(module, sources)
  return findGitFaults(files, sources).map(({ path, range, message, remedy }) => {
    const text = files.find(it => it.path === path)?.doc.text.slice(range.start, range.end)
    return place.plain(`${path}: ${text}: ${message}; ${remedy}`)
  })
}

test('reports untracked files at the path literal that leads to them', () => {
  const place = makeRepository({ ...FLAKE, ...KNOWN })
  add(place, {
    'vfio/default.nix': '{ imports = [ ./binding.nix ]; }\n',
    'vfio/binding.nix': '{ }\n',
    'files/hook.sh': '#!/bin/sh\n'
  })
  expect(found(place)).toEqual([
    '/etc/nixos/configuration.nix: ./vfio: git does not track vfio/default.nix; git -C /etc/nixos add -N vfio/default.nix',
    '/etc/nixos/configuration.nix: ./files/hook.sh: git does not track files/hook.sh; git -C /etc/nixos add -N files/hook.sh',
    '/etc/nixos/vfio/default.nix: ./binding.nix: git does not track vfio/binding.nix; git -C /etc/nixos add -N vfio/binding.nix'
  ])
})

test('reports untracked shipped modules at their import', () => {
  const place = makeRepository({ ...FLAKE, ...KNOWN, 'files/hook.sh': '' })
  for (const [name, text] of Object.entries(installedModules())) {
    add(place, { [`vfio/${name}`]: text })
    if (name !== 'binding.nix') place.git('add', '-N', `vfio/${name}`)
  }
  expect(found(place)).toEqual([
    '/etc/nixos/configuration.nix: ./vfio: git does not track vfio/binding.nix; git -C /etc/nixos add -N vfio/binding.nix'
  ])
})

test('reports nothing after git add -N', () => {
  const place = makeRepository({ ...FLAKE, ...KNOWN })
  add(place, { 'vfio/default.nix': '{ }\n', 'files/hook.sh': '' })
  place.git('add', '-N', '.')
  expect(found(place)).toEqual([])
})

test('reports nothing without a flake, because Nix sees all files then', () => {
  const place = makeRepository(KNOWN)
  add(place, { 'vfio/default.nix': '{ }\n', 'files/hook.sh': '' })
  expect(found(place)).toEqual([])
})

test('ignores other work trees, and folders that are not modules', () => {
  const place = makeRepository({
    ...FLAKE,
    'configuration.nix':
      '{ a = ../other.nix; b = ./pictures; c = ./sub; d = ./link.nix; e = ./.; }\n'
  })
  add(place, {
    '../other.nix': '{ }\n',
    'pictures/new.png': '',
    'sub/.git/HEAD': 'ref: refs/heads/main\n',
    'sub/default.nix': '{ }\n'
  })
  symlinkSync('nowhere', join(place.nixos, 'link.nix'))
  expect(found(place)).toEqual([])
})
