// A command loads only the packages that it needs: yargs takes longer to load than most commands take to run.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makePlace } from './support/place.ts'

const FILES = {
  'configuration.nix': '{ ... }: { system.stateVersion = "26.05"; }\n',
  'guest.xml': "<domain type='kvm'><name>win10</name></domain>\n"
}

/** Loader hooks that append the URL of each loaded file to `$LOADED`. */
const HOOKS = `
import { appendFileSync } from 'node:fs'
export async function load(url, context, next) {
  appendFileSync(process.env.LOADED, url + '\\n')
  return next(url, context)
}
`

/** Registers the hooks. At exit, appends the files of CommonJS modules, which the hooks do not see. */
const REGISTER = `
import { appendFileSync } from 'node:fs'
import { createRequire, register } from 'node:module'
register('file://HOOKS')
const { cache } = createRequire(import.meta.url)
process.on('exit', () => {
  for (const file of Object.keys(cache)) appendFileSync(process.env.LOADED, file + '\\n')
})
`

/** The packages whose files a call loads. */
async function packagesLoadedBy(words: readonly string[], code: number): Promise<string[]> {
  const place = makePlace(FILES)
  const [register, hooks, loaded] = ['register.mjs', 'hooks.mjs', 'loaded'].map(it =>
    join(place.top, it)
  ) as [string, string, string]
  writeFileSync(hooks, HOOKS)
  writeFileSync(register, REGISTER.replace('HOOKS', hooks))
  const env = { NODE_OPTIONS: `--import=${register}`, LOADED: loaded }
  const outcome = await place.run(words, { env })
  expect(outcome).toMatchObject({ code })
  const urls = existsSync(loaded) ? readFileSync(loaded, 'utf8').split('\n') : []
  const names = urls.map(it => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(it)?.[1] ?? '')
  return [...new Set(names)].filter(it => it !== '').sort()
}

test.concurrent.each<[string[], number]>([
  [['--version'], 0],
  [['--help'], 0],
  [['apply', '--help'], 0],
  [[], 2],
  [['option', 'get', 'configuration.nix', 'system.stateVersion'], 0],
  [['undo', '--list', '--no-git-add'], 0],
  [['option', 'set', '-', 'a', '1', '--help'], 0]
])('%j loads only the package yargs-parser', async (words, code) => {
  expect(await packagesLoadedBy(words, code)).toEqual(['yargs-parser'])
})

test.concurrent('diff loads neither yargs nor the XML parser', async () => {
  const words = ['diff', 'configuration.nix', '--iommu', 'amd', '--parse-check', 'off']
  expect(await packagesLoadedBy(words, 1)).toEqual(['diff', 'yargs-parser'])
})

test.concurrent('domain loads the XML parser', async () => {
  expect(await packagesLoadedBy(['domain', 'guest.xml'], 0)).toContain('fast-xml-parser')
})

test.concurrent('an unknown flag loads yargs', async () => {
  expect(await packagesLoadedBy(['diff', '--devise'], 2)).toContain('yargs')
})
