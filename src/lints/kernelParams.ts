import { asksVersion, isPlain, kernelParams } from './bindings.ts'
import {
  type Finding,
  type FindingInit,
  type Fix,
  type FixStep,
  findingAt,
  replaceItem
} from './finding.ts'
import { type Entry, type EntryItem, hasKernel, spellingOf, type View } from './view.ts'

/** Parameters of old guides, and of wishes that the kernel does not know. */
export function lintKernelParams(view: View): Finding[] {
  const params = kernelParams(view)
  const findings = params.flatMap(({ item, param }) => {
    const found = paramFinding(view, param)
    if (!found || asksVersion(item)) return []
    const { instead, ...init } = found
    const fix =
      init.code === 'HUGEPAGES_1M'
        ? largerPages(params)
        : instead && replaceItem(item, param, instead)
    return findingAt(item, { ...init, fix })
  })
  return [...findings, ...inOneString(view), ...wrongPageSizes(view)]
}

/** `instead` are the parameters that fix it in the place of this one. */
type ParamFinding = FindingInit & { instead?: readonly string[] }

function paramFinding(view: View, param: string): ParamFinding | undefined {
  const [name = '', value = ''] = splitParam(param)
  const words = value.split(',')
  /** The parameter without words that do nothing or harm; none where no word is left. */
  const without = (...gone: string[]) => {
    const rest = words.filter(it => !gone.includes(it))
    return rest.length === 0 ? [] : [`${name}=${rest.join(',')}`]
  }
  const isAmd = name.replaceAll('-', '_') === 'amd_iommu'
  if (isAmd && words.includes('pt')) {
    return {
      code: 'AMD_IOMMU_PT',
      level: 'problem',
      message: 'the kernel has no amd_iommu=pt',
      why: 'the parameter is called iommu=pt, with any processor; this one is ignored.',
      remedy: 'write iommu=pt instead',
      instead: [...without('pt', 'on'), 'iommu=pt']
    }
  }
  if (isAmd && words.includes('on')) {
    return {
      code: 'AMD_IOMMU_ON',
      level: 'note',
      message: 'amd_iommu=on does nothing',
      why: "the kernel knows no such value; AMD's IOMMU is on wherever the firmware offers it.",
      remedy:
        'leave it or take it out; where there are no IOMMU groups, turn on IOMMU and SVM in the firmware'
    }
  }
  if (name === 'pci' && words.includes('nomsi')) {
    return {
      code: 'PCI_NOMSI',
      level: 'problem',
      message: 'pci=nomsi turns off message signalled interrupts for all devices',
      why: 'old guides have it beside the ACS patch. It makes the whole machine slower, and devices that know no other interrupts stop working.',
      remedy: 'take it out',
      instead: without('nomsi')
    }
  }
  if (name === 'video' && words.every(it => /^(?:efifb|vesafb|simplefb):off$/.test(it))) {
    if (!hasKernel(view, '5.15')) return undefined
    return {
      code: 'EFIFB_OFF',
      level: 'problem',
      message: `${param} does nothing since Linux 5.15`,
      why: "NixOS' kernels draw the console with simpledrm, which does not know it.",
      remedy:
        "take it out; if the guest's card stays black, use initcall_blacklist=sysfb_init, or virtualisation.vfio.disableEFIfb",
      instead: []
    }
  }
  if (/^(?:default_)?hugepagesz$/.test(name) && /^1m$/i.test(value)) {
    return {
      ...NO_PAGES,
      remedy: `write ${name}=2M or ${name}=1G, and see to hugepages=, which counts them`
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
    return findingAt(item, {
      code: 'PARAMETERS_IN_ONE',
      level: 'problem',
      message: `${parts.length} kernel parameters in one string`,
      why: 'the newest NixOS refuses blanks in a parameter, and checks of single parameters miss these.',
      remedy: `write them as items of their own: ${parts.map(it => `"${it}"`).join(' ')}`,
      fix: isSimple
        ? [
            { op: 'remove', path, items: [item.text ?? ''] },
            { op: 'add', path, items: parts }
          ]
        : undefined
    })
  })
}

/** The options that the modules have for huge pages; ours take no such size in the first place. */
function wrongPageSizes(view: View): Finding[] {
  const at = (name: string) => view.at(`virtualisation.hugepages.${name}`)
  const wrong = ['defaultPageSize', 'pageSize'].flatMap(at).filter(it => spellingOf(it) === '"1M"')
  const fix = largerPagesIn(wrong, at('pageSize'), at('numPages'))
  return wrong.map(it =>
    findingAt(it, {
      ...NO_PAGES,
      remedy: 'write "2M" or "1G", and see to numPages',
      fix
    })
  )
}

/** Pages of 2M in place of those of 1M, half as many; undefined where their number can't be told. */
function largerPagesIn(
  wrong: readonly Entry[],
  sizes: readonly Entry[],
  counts: readonly Entry[]
): Fix | undefined {
  const sized: FixStep[] = wrong.map(it => ({ op: 'set', path: it.fullPath, value: '2M' }))
  // Where a size is given for them, the default says nothing of these pages.
  const isCounted = sizes.length === 0 || sizes.some(it => wrong.includes(it))
  const [count, ...others] = isCounted ? counts : []
  if (!count) return sized
  const number = pageCount(spellingOf(count))
  if (others.length > 0 || number === undefined) return undefined
  return [...sized, { op: 'set', path: count.fullPath, value: Math.ceil(number / 2) }]
}

/** The same for parameters of the kernel, where they ask for pages of one size. */
function largerPages(params: readonly { item: EntryItem; param: string }[]): Fix | undefined {
  const about = params.filter(it => /^(?:(?:default_)?hugepagesz|hugepages)=/.test(it.param))
  const [first] = about
  const isPlainly = ({ item, param }: (typeof about)[number]) =>
    item.text === param &&
    item.node.type === 'string_expression' &&
    item.entry === first?.item.entry
  if (!first || !about.every(isPlainly)) return undefined
  const instead = about.map(({ param }) => {
    const [name, value] = splitParam(param)
    if (name !== 'hugepages') return /^1m$/i.test(value) ? `${name}=2M` : undefined
    const number = pageCount(value)
    return number === undefined ? undefined : `${name}=${Math.ceil(number / 2)}`
  })
  const items = instead.filter(it => it !== undefined)
  if (
    items.length < about.length ||
    new Set(items.map(it => splitParam(it)[0])).size < items.length
  ) {
    return undefined
  }
  const path = first.item.entry.fullPath
  // All together, since the number counts pages of the size before it.
  return [
    { op: 'remove', path, items: about.map(it => it.param) },
    { op: 'add', path, items }
  ]
}

function pageCount(text: string): number | undefined {
  return /^[1-9][0-9]{0,8}$/.test(text) ? Number(text) : undefined
}

const NO_PAGES = {
  code: 'HUGEPAGES_1M',
  level: 'problem',
  message: 'there are no huge pages of 1M',
  why: 'x86 has pages of 2M and of 1G; the kernel rejects others, and the memory of the guest is missing.'
} as const

function splitParam(param: string): [string, string] {
  const at = param.indexOf('=')
  return at === -1 ? [param, ''] : [param.slice(0, at), param.slice(at + 1)]
}

// Kernel parameters whose value is a list with commas, such as intel_iommu=on,sm_on. The kernel takes them
// apart in drivers/iommu/intel/iommu.c, drivers/iommu/amd/init.c and arch/x86/kernel/pci-dma.c.

/** The words of a parameter, or none if it has another name. `-` and `_` in the name are the same. */
export function wordsOf(param: string, name: string): readonly string[] {
  const [, own = '', value = ''] = /^([^=]*)=(.*)$/s.exec(param) ?? []
  return own.replaceAll('-', '_') === name ? value.replace(/^"(.*)"$/, '$1').split(',') : []
}

/** Of words that contradict each other the one that counts: the last, over all parameters of the name. */
export function lastWord(
  params: readonly string[],
  name: string,
  words: readonly string[]
): string | undefined {
  return params.flatMap(it => wordsOf(it, name)).findLast(it => words.includes(it))
}

/** What these parameters say of Intel's IOMMU, undefined for nothing. */
export function intelIommu(params: readonly string[]): 'on' | 'off' | undefined {
  return lastWord(params, 'intel_iommu', ['on', 'off']) as 'on' | 'off' | undefined
}
