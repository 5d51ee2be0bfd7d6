// Where the tests find nixpkgs' lib without NIXPKGS_LIB.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { findClone } from './evalModules.ts'

const folder = mkdtempSync(join(tmpdir(), 'vfio-patch-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

const [home, checkout] = [join(folder, 'home'), join(folder, 'src/vfio-patch')]
const inCache = join(home, '.cache/vfio-patch/nixpkgs.lib/lib')
const nextToCheckout = join(folder, 'src/nixpkgs.lib/lib')

it('finds the clone in the cache, else the clone next to the checkout', () => {
  mkdirSync(inCache, { recursive: true })
  mkdirSync(nextToCheckout, { recursive: true })
  expect(findClone(home, checkout)).toBe(undefined)
  writeFileSync(join(nextToCheckout, 'modules.nix'), '')
  expect(findClone(home, checkout)).toBe(nextToCheckout)
  writeFileSync(join(inCache, 'modules.nix'), '')
  expect(findClone(home, checkout)).toBe(inCache)
})
