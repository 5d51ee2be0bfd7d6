// check --fix also fixes the findings that other findings hide, so that a second run has nothing to do.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lint } from '../../src/lints/index.ts'
import { parseDocument } from '../../src/nix/index.ts'
import { placeOf } from '../../src/nix/text/lines.ts'
import { planApply } from '../../src/plan/apply.ts'
import { planFaultFixes } from '../../src/plan/fixes.ts'
import { obsoleteSettingsIn } from '../../src/plan/legacy/replaced.ts'
import type { Files } from '../lints/support.ts'
import { filesOf } from '../lints/support.ts'
import { nix } from '../nix/support.ts'
import { runs } from '../properties/support/choices.ts'
import { inputFor, installed } from './support/input.ts'

function fixed(given: Files, importsModules = false) {
  const files = filesOf(given)
  const facts = { importsModules }
  const fixes = planFaultFixes({ files, findings: lint(files, facts) }, it => lint(it, facts))
  if (!fixes.ok) throw new Error(fixes.error.message)
  const { plan, fixed: done, remaining } = fixes.value
  const at = ({ path, range, code }: (typeof done)[number]) => {
    const text = files.find(it => it.path === path)?.doc.text ?? ''
    return `${placeOf(text, range.start).line} ${code}`
  }
  const texts = Object.fromEntries(plan.files.map(it => [it.path, it.after]))
  return {
    text: plan.configuration.text,
    texts,
    fixed: done.map(at),
    remaining: remaining.map(at)
  }
}

describe('hidden findings', () => {
  it('fixes kernel parameters that share a string', () => {
    const text = nix`
      {
        boot.kernelParams = [
          "quiet" # no messages
          "pci=nomsi amd_iommu=pt" # from a guide
          "splash"
        ];
      }
    `
    expect(fixed(text)).toMatchObject({
      text: nix`
        {
          boot.kernelParams = [
            "quiet" # no messages
            "splash"
            "iommu=pt"
          ];
        }
      `,
      fixed: ['4 PCI_NOMSI', '4 AMD_IOMMU_PT', '4 PARAMETERS_IN_ONE'],
      remaining: []
    })
  })

  it('removes a parameter that is in two strings of a list, in either order', () => {
    for (const list of ['"pci=nomsi" "pci=nomsi splash"', '"pci=nomsi splash" "pci=nomsi"']) {
      const { text, remaining } = fixed(`{ boot.kernelParams = [ ${list} ]; }\n`)
      expect({ text, remaining }).toEqual({
        text: '{ boot.kernelParams = [ "splash" ]; }\n',
        remaining: []
      })
    }
  })

  it('renames an option and fixes its value in the same run', () => {
    const { text, fixed: found } = fixed(
      `{ virtualisation.libvirtd.qemuVerbatimConfig = "user = \\"alice\\""; }\n`
    )
    expect(text).toBe(
      `{ virtualisation.libvirtd.qemu.verbatimConfig = "user = \\"alice\\"\\nnamespaces = []"; }\n`
    )
    expect(found).toEqual(['1 RENAMED_OPTION', '1 NAMESPACES'])
  })

  it('returns the remaining findings without a fix, including hidden ones', () => {
    const {
      fixed: found,
      remaining,
      text
    } = fixed('{ boot.kernelParams = [ "pci=nomsi vfio-pci.ids=1-de:10f12" ]; }\n')
    expect(text).toBe('{ boot.kernelParams = [ "vfio-pci.ids=1-de:10f12" ]; }\n')
    expect({ fixed: found, remaining }).toEqual({
      fixed: ['1 PCI_NOMSI', '1 PARAMETERS_IN_ONE'],
      remaining: ['1 BAD_ID']
    })
  })

  it('fixes findings in an imported file', () => {
    const { texts, remaining } = fixed({
      'configuration.nix': '{ imports = [ ./old.nix ]; }\n',
      'old.nix': '{ boot.kernelParams = [ "hugepagesz=1M hugepages=8" "quiet" ]; }\n'
    })
    expect(texts).toEqual({
      'old.nix': '{ boot.kernelParams = [ "quiet" "hugepagesz=2M" "hugepages=4" ]; }\n'
    })
    expect(remaining).toEqual([])
  })
})

const PARAMS = [
  ...['quiet', 'splash', 'iommu=pt', 'amd_iommu=on', 'amd_iommu=pt', 'pci=nomsi', 'pci=noaer'],
  ...['video=efifb:off', 'vfio-pci.ids=10de:1b80', 'vfio-pci.ids=10DE:1B80,10de:10f0'],
  ...['hugepagesz=1M', 'default_hugepagesz=1m', 'hugepages=9', 'hugepagesz=1G']
]
const MODULES = ['vfio_virqfd', 'vfio-virqfd', 'vfio_pci', 'vfio', 'nvidia', 'amdgpu', 'kvm-amd']
const ACL = 'cgroup_device_acl = [ "/dev/null", "/dev/kvm", "/dev/input/event3" ]'
const LIBVIRTD = [
  'qemuRunAsRoot = false;',
  'qemu.runAsRoot = false;',
  'qemuVerbatimConfig = "user = \\"alice\\"";',
  `qemuVerbatimConfig = ''\n  ${ACL}\n'';`,
  `qemu.verbatimConfig = ''\n  namespaces = []\n  ${ACL}\n'';`,
  'qemu.verbatimConfig = "";',
  'qemu.ovmf.enable = true;',
  'qemuOvmf = true;',
  'onShutdown = "suspend";',
  'enable = true;'
]
const LINES = ['options vfio-pci ids=10de:1b80', 'softdep drm pre: vfio-pci', 'options kvm a=1']

const some = <T>(items: readonly T[], maxLength: number) =>
  fc.array(fc.constantFrom(...items), { maxLength })

const lists = (items: readonly string[], inOne: number) =>
  fc
    .record({
      items: fc.array(fc.array(fc.constantFrom(...items), { minLength: 1, maxLength: inOne }), {
        maxLength: 4
      }),
      isLong: fc.boolean(),
      isSum: fc.boolean()
    })
    .map(({ items: all, isLong, isSum }) => {
      const gap = isLong ? '\n    ' : ' '
      const strings = all.map(it => `"${it.join(' ')}"`)
      const write = (part: string[]) => `[${part.map(it => gap + it).join('')}${gap}]`
      const isOnce = new Set(strings).size === strings.length
      return isSum && isOnce
        ? `${write(strings.slice(0, 1))} ++ ${write(strings.slice(1))}`
        : write(strings)
    })

const configurations = fc
  .record({
    params: lists(PARAMS, 3),
    initrd: lists(MODULES, 1),
    modules: lists(MODULES, 1),
    libvirtd: fc.uniqueArray(fc.constantFrom(...LIBVIRTD), {
      maxLength: 4,
      selector: it => it.split(' ')[0]?.replace('.', '').toLowerCase()
    }),
    lines: some(LINES, 2),
    entry: fc.option(lists(PARAMS, 2), { nil: undefined }),
    isWhole: fc.boolean()
  })
  .map(({ params, initrd, modules, libvirtd, lines, entry, isWhole }) => {
    const options = [
      `boot.kernelParams = ${params};`,
      `boot.initrd.kernelModules = ${initrd};`,
      `boot.kernelModules = ${modules};`,
      ...(lines.length > 0
        ? [`boot.extraModprobeConfig = ''\n    ${lines.join('\n    ')}\n  '';`]
        : []),
      ...(libvirtd.length > 0
        ? [`virtualisation.libvirtd = {\n    ${libvirtd.join('\n    ')}\n  };`]
        : []),
      ...(entry ? [`specialisation.vfio.configuration.boot.kernelParams = ${entry};`] : []),
      ...(isWhole
        ? ['fileSystems."/".device = "/dev/sda1";', 'system.stateVersion = "26.05";']
        : [])
    ]
    return `{ ... }:\n{\n  ${options.join('\n\n  ')}\n}\n`
  })

describe('for any combination of findings', () => {
  it('a second check --fix changes nothing', () => {
    fc.assert(
      fc.property(configurations, fc.boolean(), (text, isOurs) => {
        const first = fixed(text, isOurs)
        const again = fixed(first.text, isOurs)
        expect(again).toMatchObject({ text: first.text, fixed: [] })
      }),
      runs(60)
    )
  })

  it('a second apply changes nothing', () => {
    const apply = (text: string) =>
      planApply(
        inputFor(
          '/etc/nixos/configuration.nix',
          text,
          { devices: ['10de:1b80'] },
          { listing: installed }
        )
      )
    fc.assert(
      fc.property(configurations, text => {
        const first = apply(text)
        // apply refuses a file that cannot be edited as a whole.
        if (!first.ok) return
        const after = first.value.configuration.text
        const again = apply(after)
        expect(again.ok && again.value.files).toEqual([])
        expect(obsoleteSettingsIn(parseDocument(after), undefined)).toEqual([])
      }),
      runs(50)
    )
  })
})
