// IDs for vfio-pci in several places: the findings of check, and the failures and warnings of the module.

import { expect, it } from 'vitest'
import { describeWithOracle, evalConfigs } from '../oracle/evalModules.ts'
import { stateOf, vfioModules, withNixos } from '../oracle/machines.ts'
import { lintFiles } from './support.ts'

const param = (...params: string[]) =>
  `boot.kernelParams = [ ${params.map(it => `"${it}"`).join(' ')} ];`
const modprobe = (...lines: string[]) => `boot.extraModprobeConfig = ''\n${lines.join('\n')}\n'';`
const devices = 'virtualisation.vfio.devices = [ "10de:1b80" "10de:10f0" ];'

/** The reaction of the module. */
type Reaction = 'nothing' | 'warning' | 'failure'

const CASES: [title: string, reaction: Reaction, ...options: string[]][] = [
  ['the same IDs', 'nothing', devices, param('vfio-pci.ids=10de:1b80,10de:10f0')],
  [
    'the same IDs with an underscore',
    'nothing',
    devices,
    param('vfio_pci.ids=10de:1b80,10de:10f0')
  ],
  ['the same IDs in upper case', 'nothing', devices, param('vfio-pci.ids=10DE:1B80,10DE:10F0')],
  ['the same IDs in another order', 'nothing', devices, param('vfio-pci.ids=10de:10f0,10de:1b80')],
  [
    'the same IDs, one of them twice',
    'nothing',
    devices,
    param('vfio-pci.ids=10de:1b80,10de:10f0,10de:1b80')
  ],
  [
    'the same IDs next to other parameters',
    'nothing',
    devices,
    param('quiet vfio-pci.ids=10de:1b80,10de:10f0 splash')
  ],
  [
    'the same IDs for modprobe',
    'nothing',
    devices,
    modprobe('options vfio-pci ids=10de:1b80,10de:10f0 disable_vga=1')
  ],
  [
    'the same IDs for modprobe, with whitespace, an underscore and upper case',
    'nothing',
    devices,
    modprobe('  options\tvfio_pci  disable_vga=1   ids=10de:10F0,10DE:1b80  ')
  ],
  [
    'the same IDs in quotation marks',
    'nothing',
    devices,
    modprobe('options vfio-pci ids="10de:1b80,10de:10f0"')
  ],
  [
    'the same IDs in all three places',
    'nothing',
    devices,
    param('vfio-pci.ids=10de:1b80,10de:10f0'),
    modprobe('options vfio-pci ids=10de:10f0,10de:1b80')
  ],
  ['other IDs in a comment', 'nothing', devices, modprobe('# options vfio-pci ids=1002:67df')],
  ['IDs of another module', 'nothing', devices, modprobe('options vfio-pci-x ids=1002:67df')],
  ['one ID less', 'failure', devices, param('vfio-pci.ids=10de:1b80')],
  ['one ID more', 'failure', devices, param('vfio-pci.ids=10de:1b80,10de:10f0,1002:67df')],
  ['other IDs', 'failure', devices, param('vfio-pci.ids=1002:67df')],
  ['other IDs in one string', 'failure', devices, param('quiet vfio-pci.ids=1002:67df')],
  [
    'the same IDs, then other IDs, in one string',
    'failure',
    devices,
    param('vfio-pci.ids=10de:1b80,10de:10f0 vfio-pci.ids=1002:67df')
  ],
  ['other IDs for modprobe', 'failure', devices, modprobe('options vfio_pci ids=1002:67df')],
  [
    'the same IDs, and other IDs for modprobe',
    'failure',
    devices,
    param('vfio-pci.ids=10de:1b80,10de:10f0'),
    modprobe('options vfio-pci ids=1002:67df')
  ],
  [
    'the same IDs in both other places',
    'nothing',
    param('vfio-pci.ids=10de:1b80'),
    modprobe('options vfio-pci ids=10DE:1B80')
  ],
  [
    'different IDs in both other places',
    'warning',
    param('vfio-pci.ids=10de:1b80'),
    modprobe('options vfio-pci ids=1002:67df')
  ],
  [
    'other IDs, with devices that are bound when a guest starts',
    'nothing',
    devices,
    'virtualisation.vfio.bindAtBoot = false;',
    param('vfio-pci.ids=1002:67df')
  ]
]

const textOf = (options: readonly string[]) =>
  `{ virtualisation.vfio.enable = true; ${options.join(' ')} }`

it.each(CASES)('check reacts as the module does to %s: %s', (_, reaction, ...options) => {
  const found = lintFiles(textOf(options), { importsModules: true }).map(
    it => `${it.code} (${it.level})`
  )
  expect([...new Set(found.filter(it => it.startsWith('IDS_TWICE')))]).toEqual(
    reaction === 'nothing' ? [] : ['IDS_TWICE (problem)']
  )
})

it('check reports IDs in two places in a specialisation that enables what the system disables', () => {
  const text = `{
    boot.kernelParams = [ "vfio-pci.ids=1002:67df" ];
    virtualisation.vfio.enable = false;
    virtualisation.vfio.devices = [ "10de:1b80" ];
    specialisation.vfio.configuration.virtualisation.vfio.enable = lib.mkForce true;
  }`
  expect(lintFiles(text, { importsModules: true }).map(it => it.code)).toEqual(['IDS_TWICE'])
  const off = text.replace('mkForce true', 'mkForce false')
  expect(lintFiles(off, { importsModules: true }).map(it => it.code)).toEqual([])
})

describeWithOracle('the module', oracle => {
  const view = `config: let state = (${stateOf}) config; in { inherit (state) failures warnings; }`
  const results = () => {
    const modules = CASES.map(([, , ...options]) => [
      withNixos('partsParams = false;'),
      vfioModules,
      textOf(options)
    ])
    const heads = (messages: readonly string[]) =>
      messages.filter(it => it.startsWith('The IDs for vfio-pci are set more than once')).length
    return evalConfigs(
      oracle,
      view,
      modules.map(it => ({ modules: it }))
    ).map(it => {
      const { failures, warnings } = (it as { value: { failures: string[]; warnings: string[] } })
        .value
      return { failures: heads(failures), warnings: heads(warnings) }
    })
  }

  it('fails or warns in the same cases as check', () => {
    const expected = CASES.map(([title, reaction]) => ({
      title,
      failures: reaction === 'failure' ? 1 : 0,
      warnings: reaction === 'warning' ? 1 : 0
    }))
    expect(results().map((it, i) => ({ title: CASES[i]?.[0], ...it }))).toEqual(expected)
  })
})
