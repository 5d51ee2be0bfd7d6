// The documents name only files and folders that exist.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const project = new URL('../../', import.meta.url)
const files = ['src', 'test', 'nixos', 'stress', 'grammar'].flatMap(top =>
  readdirSync(new URL(top, project), { recursive: true, encoding: 'utf8' }).map(
    it => `${top}/${it}`
  )
)

/** Files of a user's configuration. */
const OF_USERS = ['hardware-configuration.nix', 'vfio/guests/', '.vfio-patch.lock']

/** Whether a name is the end of the path of a file, or of a folder if it ends in a slash. */
function isKnown(name: string): boolean {
  const path = name.replace(/\/$/, '')
  return existsSync(new URL(path, project)) || files.some(it => it.endsWith(`/${path}`))
}

it.each(['docs/architecture.md', 'CONTRIBUTING.md'])('%s names files that exist', document => {
  const text = readFileSync(new URL(document, project), 'utf8')
  const names = [...text.matchAll(/`((?:\w[\w./-]*)(?:\.(?:ts|js|nix|c)|\/))`/g)].map(
    it => it[1] ?? ''
  )
  expect(names.length).toBeGreaterThan(0)
  expect(names.filter(it => !OF_USERS.includes(it) && !isKnown(it))).toEqual([])
})
