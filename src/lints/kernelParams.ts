import { dependsOnKernelVersion, hasNoInterpolation, kernelParams } from './bindings.ts'
import {
  type Finding,
  type FindingText,
  type Fix,
  type FixStep,
  findingAt,
  replaceItem
} from './finding.ts'
import {
  amdIommuOn,
  amdIommuPt,
  framebufferParam,
  pageSizeOption,
  pageSizeParam,
  pciNomsi,
  severalParamsInOne
} from './messages/kernelParams.ts'
import {
  type BootEntryView,
  type DefinitionItem,
  hasKernel,
  type OptionDefinition,
  valueText
} from './view.ts'

/** Kernel parameters from old guides, and those that the kernel does not know. */
export function lintKernelParams(view: BootEntryView): Finding[] {
  const params = kernelParams(view)
  const findings = params.flatMap(({ item, param }) => {
    const found = paramFinding(view, param)
    if (!found || dependsOnKernelVersion(item)) return []
    const { text, replacement } = found
    const fix =
      text.code === 'HUGEPAGES_1M'
        ? largerPages(params)
        : replacement && replaceItem(item, param, replacement)
    return findingAt(item, { ...text, fix })
  })
  return [...findings, ...inOneString(view), ...wrongPageSizes(view)]
}

interface ParamFinding {
  text: FindingText
  /** The parameters that replace this one to fix it. */
  replacement?: readonly string[]
}

function paramFinding(view: BootEntryView, param: string): ParamFinding | undefined {
  const [name = '', value = ''] = splitParam(param)
  const words = value.split(',')
  /** The parameter without these values; none if no value is left. */
  const without = (...removed: string[]) => {
    const rest = words.filter(it => !removed.includes(it))
    return rest.length === 0 ? [] : [`${name}=${rest.join(',')}`]
  }
  const isAmd = name.replaceAll('-', '_') === 'amd_iommu'
  if (isAmd && words.includes('pt')) {
    return { text: amdIommuPt(), replacement: [...without('pt', 'on'), 'iommu=pt'] }
  }
  if (isAmd && words.includes('on')) return { text: amdIommuOn() }
  if (name === 'pci' && words.includes('nomsi')) {
    return { text: pciNomsi(), replacement: without('nomsi') }
  }
  if (name === 'video' && words.every(it => /^(?:efifb|vesafb|simplefb):off$/.test(it))) {
    return hasKernel(view, '5.15') ? { text: framebufferParam(param), replacement: [] } : undefined
  }
  if (/^(?:default_)?hugepagesz$/.test(name) && /^1m$/i.test(value)) {
    return { text: pageSizeParam(name) }
  }
  return undefined
}

/** List items that hold several parameters. */
function inOneString(view: BootEntryView): Finding[] {
  return view.itemsIn('boot.kernelParams').flatMap(item => {
    const text = item.text?.trim() ?? ''
    // A space inside quotation marks is part of a value.
    const unquoted = text.replace(/\\?"[^"]*"/g, '')
    if (!/\s/.test(unquoted)) return []
    const parts = text.split(/\s+/)
    const isSimple = unquoted === text && hasNoInterpolation(text) && !/[\\$]/.test(text)
    const path = item.definition.fullPath
    return findingAt(item, {
      ...severalParamsInOne(parts),
      fix: isSimple
        ? [
            { op: 'remove', path, items: [item.text ?? ''] },
            { op: 'add', path, items: parts }
          ]
        : undefined
    })
  })
}

/** Pages of 1M in options of other modules; vfio-patch's modules do not accept this size. */
function wrongPageSizes(view: BootEntryView): Finding[] {
  const at = (name: string) => view.definitionsOf(`virtualisation.hugepages.${name}`)
  const wrong = ['defaultPageSize', 'pageSize'].flatMap(at).filter(it => valueText(it) === '"1M"')
  const fix = largerPagesIn(wrong, at('pageSize'), at('numPages'))
  return wrong.map(it => findingAt(it, { ...pageSizeOption(), fix }))
}

/** Replaces pages of 1M with half as many of 2M; undefined if their number is unknown. */
function largerPagesIn(
  wrong: readonly OptionDefinition[],
  sizes: readonly OptionDefinition[],
  counts: readonly OptionDefinition[]
): Fix | undefined {
  const sized: FixStep[] = wrong.map(it => ({ op: 'set', path: it.fullPath, value: '2M' }))
  // If pageSize is set, numPages does not count pages of the default size.
  const isCounted = sizes.length === 0 || sizes.some(it => wrong.includes(it))
  const [count, ...others] = isCounted ? counts : []
  if (!count) return sized
  const number = pageCount(valueText(count))
  if (others.length > 0 || number === undefined) return undefined
  return [...sized, { op: 'set', path: count.fullPath, value: Math.ceil(number / 2) }]
}

/** Does the same for kernel parameters; undefined unless they are plain items of one list with one page size. */
function largerPages(params: readonly { item: DefinitionItem; param: string }[]): Fix | undefined {
  const pageParams = params.filter(it => /^(?:(?:default_)?hugepagesz|hugepages)=/.test(it.param))
  const [first] = pageParams
  const isWholeItem = ({ item, param }: (typeof pageParams)[number]) =>
    item.text === param &&
    item.node.type === 'string_expression' &&
    item.definition === first?.item.definition
  if (!first || !pageParams.every(isWholeItem)) return undefined
  const replaced = pageParams.map(({ param }) => {
    const [name, value] = splitParam(param)
    if (name !== 'hugepages') return /^1m$/i.test(value) ? `${name}=2M` : undefined
    const number = pageCount(value)
    return number === undefined ? undefined : `${name}=${Math.ceil(number / 2)}`
  })
  const items = replaced.filter(it => it !== undefined)
  if (
    items.length < pageParams.length ||
    new Set(items.map(it => splitParam(it)[0])).size < items.length
  ) {
    return undefined
  }
  const path = first.item.definition.fullPath
  // All are replaced together because hugepages= counts pages of the size before it.
  return [
    { op: 'remove', path, items: pageParams.map(it => it.param) },
    { op: 'add', path, items }
  ]
}

function pageCount(text: string): number | undefined {
  return /^[1-9][0-9]{0,8}$/.test(text) ? Number(text) : undefined
}

function splitParam(param: string): [string, string] {
  const at = param.indexOf('=')
  return at === -1 ? [param, ''] : [param.slice(0, at), param.slice(at + 1)]
}

// Kernel parameters whose value is a comma-separated list, such as intel_iommu=on,sm_on. The kernel parses
// them in drivers/iommu/intel/iommu.c, drivers/iommu/amd/init.c and arch/x86/kernel/pci-dma.c.

/** The values in the list of a parameter; none if the parameter has another name. `-` in a name equals `_`. */
export function paramValues(param: string, name: string): readonly string[] {
  const [, paramName = '', value = ''] = /^([^=]*)=(.*)$/s.exec(param) ?? []
  return paramName.replaceAll('-', '_') === name ? value.replace(/^"(.*)"$/, '$1').split(',') : []
}

/** The value that takes effect among these contradictory ones: the last one in all parameters of this name. */
export function effectiveParamValue(
  params: readonly string[],
  name: string,
  words: readonly string[]
): string | undefined {
  return params.flatMap(it => paramValues(it, name)).findLast(it => words.includes(it))
}

/** Whether these parameters turn Intel's IOMMU on or off; undefined if they do neither. */
export function intelIommuState(params: readonly string[]): 'on' | 'off' | undefined {
  return effectiveParamValue(params, 'intel_iommu', ['on', 'off']) as 'on' | 'off' | undefined
}
