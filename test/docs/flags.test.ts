// Compares the tables of flags and options with the documents and with each other.

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { ACTION_CALLS, CALLS } from '../../src/cli/args/commands.ts'
import { COMMANDS, FLAGS, flagOf } from '../../src/cli/args/flags.ts'
import { formatFlag } from '../../src/settings/flag.ts'
import { ruleFor } from '../../src/settings/settings.ts'
import { DERIVED, SETTINGS } from '../../src/settings/table.ts'

const page = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')

/** A flag of virsh, and the prefix of `--no-…`. */
const FOREIGN = ['--inactive', '--no']

/** Options of NixOS itself. */
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

it('each flag and each letter is defined once', () => {
  const names = FLAGS.flatMap(it => [it.name, it.short ?? []].flat())
  expect(names.filter((it, i) => names.indexOf(it) !== i)).toEqual([])
})

it('docs/options.md has each option that is written', () => {
  const declared = [...page('docs/options.md').matchAll(/^## `(.*)`/gm)].map(it => it[1] ?? '')
  const written = [...SETTINGS, ...DERIVED].flatMap(it => it.options.map(it => it.path.join('.')))
  const isDeclared = (path: string) => declared.some(it => it === path || it.startsWith(`${path}.`))
  expect(written.filter(it => !isDeclared(it))).toEqual(NIXOS)
})

it('each edit is reported with the rule of the row that writes the option', () => {
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

it('commands refer only to flags that exist', () => {
  const calls = [...Object.values(CALLS), ...Object.values(ACTION_CALLS)]
  const pairs = calls.flatMap(it => [...(it.needs ?? []), ...(it.conflicts ?? [])]).flat()
  const grouped = COMMANDS.flatMap(it => (CALLS[it].groups ?? []).flatMap(it => it.flags))
  expect([...pairs, ...grouped].filter(it => !flagOf(it))).toEqual([])
})
