import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { describeWithOracle } from '../oracle/evalModules.ts'

const project = fileURLToPath(new URL('../../', import.meta.url))

/** Options that have no default: whoever sets another option of the same set has to set them too. */
const WITHOUT_DEFAULT = [
  'virtualisation.hugepages.numPages',
  'virtualisation.kvmfr.devices.*.resolution.height',
  'virtualisation.kvmfr.devices.*.resolution.width',
  'virtualisation.vfio.addresses.*.address'
]

describeWithOracle('docs/options.md', ({ nixpkgsLib }) => {
  it('docs/options.md matches the options that the modules declare', () => {
    const run = spawnSync(process.execPath, ['docs/options.js', '--check'], {
      cwd: project,
      encoding: 'utf8',
      env: { ...process.env, NIXPKGS_LIB: nixpkgsLib }
    })
    expect({ status: run.status, stderr: run.stderr }).toEqual({ status: 0, stderr: '' })
  })

  it('docs/options.md has a type, a default and an example of each option', () => {
    const page = readFileSync(`${project}docs/options.md`, 'utf8')
    const sections = page.split(/^## /m).slice(1)
    const without = (word: string) =>
      sections.filter(it => !it.includes(`\n${word}:`)).map(it => /^`(.*)`/.exec(it)?.[1])
    expect(sections.length).toBeGreaterThan(30)
    expect({
      type: without('Type'),
      default: without('Default'),
      example: without('Example')
    }).toEqual({ type: [], default: WITHOUT_DEFAULT, example: [] })
  })
})
