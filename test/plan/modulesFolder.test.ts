import { relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { stamp, stampOf } from '../../src/configuration/stamp.ts'
import { planModules } from '../../src/plan/modulesFolder.ts'
import { listingOf } from '../support/configuration.ts'

const shipped = new Map([
  ['default.nix', stamp('2.0.0', '{ imports = [ ./vfio.nix ]; }\n')],
  ['vfio.nix', stamp('2.0.0', '{ }\n')]
])
const old = stamp('1.0.0', '{ # old\n}\n')
const plan = (
  files: Record<string, string | null> | 'absent' | 'not-a-folder',
  replace = false
) => {
  const listing = typeof files === 'string' ? files : listingOf(Object.entries(files))
  const result = planModules({ path: '/etc/nixos/vfio', listing }, shipped, replace)
  return result.ok ? result.value.map(it => relative('/etc/nixos/vfio', it.path)) : result.error
}
const installed = Object.fromEntries(shipped)

describe('stampOf', () => {
  it('distinguishes intact, edited and other files', () => {
    expect(stampOf(old)).toBe('intact')
    expect(stampOf(old.replace('old', 'new'))).toBe('edited')
    expect(stampOf('{ }\n')).toBe('none')
    expect(stampOf('')).toBe('none')
  })
})

describe('planModules', () => {
  it('writes all files if the folder is absent or empty', () => {
    expect(plan('absent')).toEqual(['default.nix', 'vfio.nix'])
    expect(plan({})).toEqual(['default.nix', 'vfio.nix'])
  })

  it('writes only missing and outdated files', () => {
    expect(plan(installed)).toEqual([])
    expect(plan({ ...installed, 'vfio.nix': old })).toEqual(['vfio.nix'])
    expect(plan({ 'default.nix': old })).toEqual(['default.nix', 'vfio.nix'])
    expect(plan({ ...installed, guests: null, 'mine.nix': '{ }' })).toEqual([])
  })

  it('accepts a folder with only guests and saved copies', () => {
    const left = { guests: null, 'vfio.nix.edited': old.replace('old', 'mine') }
    expect(plan(left)).toEqual(['default.nix', 'vfio.nix'])
  })

  it('refuses a folder with other files', () => {
    const foreign = (found: string) => ({ code: 'FOREIGN_FOLDER', path: '/etc/nixos/vfio', found })
    expect(plan({ 'default.nix': '{ }' })).toEqual(foreign('default.nix'))
    expect(plan({ 'notes.txt': 'x' })).toEqual(foreign('notes.txt'))
    expect(plan({ '_lib/mine.nix': '{ }' })).toEqual(foreign('_lib/mine.nix'))
    expect(plan({ guests: '{ }' })).toEqual(foreign('guests'))
    expect(plan({ ...installed, 'vfio.nix': '{ mine = 1; }' })).toEqual(foreign('vfio.nix'))
    expect(plan({ ...installed, 'vfio.nix': null })).toEqual(foreign('vfio.nix'))
    expect(plan('not-a-folder')).toEqual(foreign('/etc/nixos/vfio'))
  })

  it('refuses edited files unless they may be replaced', () => {
    const edited = { ...installed, 'vfio.nix': old.replace('old', 'mine') }
    expect(plan(edited)).toEqual({
      code: 'MODULES_EDITED',
      path: '/etc/nixos/vfio',
      names: ['vfio.nix']
    })
    expect(plan(edited, true)).toEqual(['vfio.nix'])
  })
})
