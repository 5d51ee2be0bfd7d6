import { spellingOf, type View } from './configuration.ts'
import { asksVersion, findingAt, isPlain, kernelParams } from './find.ts'
import type { Finding, Fix } from './finding.ts'
import { hasKernel } from './releases.ts'

/** Parameters of old guides, and of wishes that the kernel does not know. */
export function lintKernelParams(view: View): Finding[] {
  const params = kernelParams(view)
  const findings: Finding[] = []
  for (const { item, param } of params) {
    const said = sayingOf(view, param)
    if (!said || asksVersion(item)) continue
    const { entry } = item
    const isAlone = item.text === param && item.node.type === 'string_expression'
    const { instead, ...finding } = said
    const fix: Fix = [
      { op: 'remove', path: entry.fullPath, items: [param] },
      ...(instead === undefined
        ? []
        : [{ op: 'add' as const, path: entry.fullPath, items: [instead] }])
    ]
    findings.push(findingAt(item, { ...finding, ...(isAlone && said.mends ? { fix } : {}) }))
  }
  return [...findings, ...inOneString(view), ...pageSizes(view)]
}

interface Saying {
  code: Finding['code']
  level: Finding['level']
  message: string
  why: string
  remedy: string
  /** Whether taking it out mends it, and what comes in its place. */
  mends: boolean
  instead?: string
}

function sayingOf(view: View, param: string): Saying | undefined {
  const [name = '', value = ''] = split(param)
  if (name === 'amd_iommu' && value === 'pt') {
    return {
      code: 'AMD_IOMMU_PT',
      level: 'problem',
      message: 'the kernel has no amd_iommu=pt',
      why: 'the parameter is called iommu=pt, with any processor; this one is ignored.',
      remedy: 'write iommu=pt instead',
      mends: true,
      instead: 'iommu=pt'
    }
  }
  if (name === 'amd_iommu' && value === 'on') {
    return {
      code: 'AMD_IOMMU_ON',
      level: 'note',
      message: 'amd_iommu=on does nothing',
      why: "the kernel knows no such value; AMD's IOMMU is on wherever the firmware offers it.",
      remedy:
        'leave it or take it out; where there are no IOMMU groups, turn on IOMMU and SVM in the firmware',
      mends: false
    }
  }
  if (name === 'pci' && value.split(',').includes('nomsi')) {
    return {
      code: 'PCI_NOMSI',
      level: 'problem',
      message: 'pci=nomsi turns off message signalled interrupts for all devices',
      why: 'old guides have it beside the ACS patch. It makes the whole machine slower, and devices that know no other interrupts stop working.',
      remedy: 'take it out',
      mends: value === 'nomsi'
    }
  }
  if (name === 'video' && /\b(?:efifb|vesafb|simplefb):off\b/.test(value)) {
    if (!hasKernel(view, '5.15')) return undefined
    return {
      code: 'EFIFB_OFF',
      level: 'problem',
      message: `${param} does nothing since Linux 5.15`,
      why: "NixOS' kernels draw the console with simpledrm, which does not know it.",
      remedy:
        "take it out; if the guest's card stays black, use initcall_blacklist=sysfb_init, or virtualisation.vfio.disableEFIfb",
      mends: true
    }
  }
  if (/^(?:default_)?hugepagesz$/.test(name) && /^1m$/i.test(value)) {
    return {
      ...NO_PAGES,
      remedy: `write ${name}=2M or ${name}=1G, and see to hugepages=, which counts them`,
      mends: false
    }
  }
  return undefined
}

/** Several parameters in one item: new NixOS does not take them. */
function inOneString(view: View): Finding[] {
  return view.items('boot.kernelParams').flatMap(item => {
    const text = item.text?.trim() ?? ''
    // A blank inside quotation marks belongs to a value.
    const outside = text.replace(/\\?"[^"]*"/g, '')
    if (!/\s/.test(outside)) return []
    const parts = text.split(/\s+/)
    const isSimple = outside === text && isPlain(text) && !/[\\$]/.test(text)
    const path = item.entry.fullPath
    return [
      findingAt(item, {
        code: 'PARAMETERS_IN_ONE',
        level: 'problem',
        message: `${parts.length} kernel parameters in one string`,
        why: 'the newest NixOS refuses blanks in a parameter, and checks of single parameters miss these.',
        remedy: `write them as items of their own: ${parts.map(it => `"${it}"`).join(' ')}`,
        ...(isSimple
          ? {
              fix: [
                { op: 'remove' as const, path, items: [item.text ?? ''] },
                { op: 'add' as const, path, items: parts }
              ]
            }
          : {})
      })
    ]
  })
}

/** The options that the modules have for huge pages; ours take no such size in the first place. */
function pageSizes(view: View): Finding[] {
  return ['defaultPageSize', 'pageSize']
    .flatMap(name => view.at(`virtualisation.hugepages.${name}`))
    .filter(it => spellingOf(it) === '"1M"')
    .map(it => findingAt(it, { ...NO_PAGES, remedy: 'write "2M" or "1G", and see to numPages' }))
}

const NO_PAGES = {
  code: 'HUGEPAGES_1M',
  level: 'problem',
  message: 'there are no huge pages of 1M',
  why: 'x86 has pages of 2M and of 1G; the kernel rejects others, and the memory of the guest is missing.'
} as const

function split(param: string): [string, string] {
  const at = param.indexOf('=')
  return at === -1 ? [param, ''] : [param.slice(0, at), param.slice(at + 1)]
}
