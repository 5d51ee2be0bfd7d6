// The flags and options in the tables, compared with the documents and with each other.

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { FLAGS } from '../../src/cli/args/flags.ts'
import { describeFlag } from '../../src/cli/args/help.ts'
import { formatFlag } from '../../src/settings/flag.ts'
import { ruleFor } from '../../src/settings/settings.ts'
import { DERIVED, SETTINGS } from '../../src/settings/table.ts'

const page = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')

/** A flag of virsh, and the beginning of `--no-…`. */
const FOREIGN = ['--inactive', '--no']

/** Options that are not ours. */
const NIXOS = ['virtualisation.libvirtd.qemu.swtpm.enable', 'imports', 'boot.initrd.kernelModules']

it.each(['README.md', 'docs/apply.md', 'docs/json.md', 'docs/lints.md', 'docs/architecture.md'])(
  '%s names only flags that exist',
  name => {
    const known = FLAGS.flatMap(it => [
      formatFlag(it),
      ...(it.kind === 'toggle' ? [`--no-${it.name}`] : [])
    ])
    const named = page(name).match(/(?<![\w-])--[a-z][\w-]*\w/g) ?? []
    expect(named.filter(it => ![...known, ...FOREIGN].includes(it))).toEqual([])
  }
)

it('a flag has one row, and so has a short form', () => {
  const names = FLAGS.flatMap(it => [it.name, it.short ?? []].flat())
  expect(names.filter((it, i) => names.indexOf(it) !== i)).toEqual([])
})

it('docs/options.md has each option that is written', () => {
  const declared = [...page('docs/options.md').matchAll(/^## `(.*)`/gm)].map(it => it[1] ?? '')
  const written = [...SETTINGS, ...DERIVED].flatMap(it => it.options.map(it => it.path.join('.')))
  const isDeclared = (path: string) => declared.some(it => it === path || it.startsWith(`${path}.`))
  expect(written.filter(it => !isDeclared(it))).toEqual(NIXOS)
})

it('an edit is reported with the rule of the row that writes the option', () => {
  for (const it of SETTINGS) {
    for (const { path } of it.options) expect(ruleFor(path.join('.'))).toBe(formatFlag(it))
  }
  for (const { rule, options } of DERIVED) {
    for (const { path } of options) expect(ruleFor(path.join('.'))).toBe(rule)
    expect(page('docs/json.md')).toContain(`\`${rule}\``)
  }
  expect(ruleFor('virtualisation.vfio.guests.win10.hostCPUs')).toBe('--domain')
  expect(ruleFor('virtualisation.vfio.deviceGroup')).toBe(undefined)
})

it('the help of a flag has its argument and its release, in 80 columns', () => {
  const flag = { name: 'page-size', kind: 'text', help: 'the size of a page' } as const
  const commands = ['apply'] as const
  expect(describeFlag({ ...flag, choices: ['2M', '1G'], commands }, 'apply')).toEqual([
    '  --page-size 2M|1G        the size of a page'
  ])
  expect(
    describeFlag({ ...flag, argument: 'SIZE[:COUNT[:NODE]]', since: '26.05', commands }, 'apply')
  ).toEqual([
    '  --page-size SIZE[:COUNT[:NODE]]',
    '                           the size of a page (NixOS 26.05 or later)'
  ])
})
