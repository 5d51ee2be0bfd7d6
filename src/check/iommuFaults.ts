// Findings about an IOMMU that is off now, or will be after the next boot.

import { hasNoInterpolation, isUnconditional, kernelParams } from '../lints/bindings.ts'
import {
  type Finding,
  type FindingText,
  type Fix,
  findingAt,
  findingPlace,
  type Place,
  replaceItem
} from '../lints/finding.ts'
import { effectiveParamValue, intelIommuState, paramValues } from '../lints/kernelParams.ts'
import { isStringNode, stringLiterals } from '../lints/values.ts'
import { type BootEntryView, possibleValuesOf } from '../lints/view.ts'
import { visit } from '../nix/index.ts'
import {
  firmwareOffersNone,
  type IntelSwitch,
  lostAtNextBoot,
  maybeLostAtNextBoot,
  noGroups,
  notTurnedOn,
  perhapsTurnedOn,
  turnedOff
} from './messages/iommu.ts'
import type { MachineState, SettingStatus } from './state.ts'

/** The IOMMU is off, or will be after the next boot, so no device can be passed through. */
export function findIommuFaults(state: MachineState, things: readonly SettingStatus[]): Finding[] {
  const { machine, required } = state
  const { mainPlace: first } = required
  if (!first) return []
  const isOff = things.some(it => it.kind === 'iommu' && it.verdict === 'not-active')
  if (isOff && machine.iommu.isOffered === false) return [notOffered(state, first)]
  const off = iommuTurnedOff(state)
  if (off) return [off]
  if (isOff) return [nowOff(state, first)]
  return machine.iommu.groups > 0 ? lostAtBoot(state, first) : []
}

function notOffered({ machine }: MachineState, first: Place): Finding {
  return findingAt(first, firmwareOffersNone(machine.cpu.vendor ?? 'other', machine.firmware.board))
}

function nowOff({ machine, required, entry }: MachineState, first: Place): Finding {
  const { vendor = 'other' } = machine.cpu
  const { view } = entry
  if (vendor !== 'intel' || required.intelIommu === 'on') {
    return findingAt(first, noGroups(vendor, machine.iommu.isOffered === true))
  }
  if (!isOffByDefault(view) || mayTurnOn(view) || view.facts.mayHaveUnreadModules) {
    return findingAt(first, perhapsTurnedOn())
  }
  return turnOn(view, first, notTurnedOn)
}

/** A parameter that turns off the IOMMU of this processor, unless a later one overrides it. */
function iommuTurnedOff({ machine, required, entry }: MachineState): Finding | undefined {
  const written = kernelParams(entry.view).filter(
    it => isUnconditional(it.item) && hasNoInterpolation(it.param)
  )
  const offIn = (name: string) =>
    written.findLast(it => paramValues(it.param, name).includes('off'))
  const params = [...written, ...required.params].map(it => it.param)
  const isAmdOff = machine.cpu.vendor === 'amd' && effectiveParamValue(params, 'amd_iommu', ['off'])
  const isIntelOff = machine.cpu.vendor === 'intel' && intelIommuState(params) === 'off'
  const found =
    offIn('iommu') ??
    (isAmdOff ? offIn('amd_iommu') : undefined) ??
    (isIntelOff ? offIn('intel_iommu') : undefined)
  if (!found) return undefined
  const { item, param } = found
  const isOn = machine.iommu.groups > 0
  const [name, value = ''] = param.split('=')
  const rest = value.split(',').filter(it => it !== 'off' && it !== '')
  const replacement = rest.length === 0 ? [] : [`${name}=${rest.join(',')}`]
  return findingAt(item, { ...turnedOff(param, isOn), fix: replaceItem(item, param, replacement) })
}

/** The running system has intel_iommu=on, but the system built from the configuration will not. */
function lostAtBoot({ machine, required, entry }: MachineState, first: Place): Finding[] {
  const { view } = entry
  const wasTurnedOn =
    machine.cpu.vendor === 'intel' && intelIommuState(machine.kernelParams) === 'on'
  if (!wasTurnedOn || required.intelIommu === 'on') return []
  if (!view.isComplete || !isOffByDefault(view) || mayTurnOn(view)) return []
  return [
    view.facts.mayHaveUnreadModules
      ? findingAt(first, maybeLostAtNextBoot())
      : turnOn(view, first, lostAtNextBoot)
  ]
}

// nixpkgs configures all of these alike (pkgs/os-specific/linux/kernel/common-config.nix), without
// CONFIG_INTEL_IOMMU_DEFAULT_ON.
const NIXPKGS_KERNEL =
  /^(?:\w+\.)*linux(?:Packages|kernel\.packages\.linux)(?:_latest|_testing|_lts|_zen|_lqx|_xanmod(?:_\w+)?|_\d+_\d+)?$/

/** Whether the kernel leaves Intel's IOMMU off without a parameter. */
function isOffByDefault(view: BootEntryView): boolean {
  const kernels = possibleValuesOf(view, 'boot.kernelPackages')
  const isChanged = view.files.some(it => it.doc.text.includes('INTEL_IOMMU_DEFAULT_ON'))
  return !isChanged && kernels.every(it => NIXPKGS_KERNEL.test(it.text))
}

/** Whether any string may turn on the IOMMU in a way that is not certain. */
function mayTurnOn(view: BootEntryView): boolean {
  const certain = new Set(
    kernelParams(view)
      .filter(it => isUnconditional(it.item) && hasNoInterpolation(it.param))
      .map(it => it.item.node.start)
  )
  return view.files.some(({ doc }) => {
    if (!doc.text.includes('_iommu=')) return false
    const others = doc
      .leaves()
      .filter(({ path: [first, name] }) => first === 'specialisation' && name !== view.name)
    let found = false
    visit(doc, node => {
      if (!isStringNode(node) || certain.has(node.start)) return undefined
      const isElsewhere = others.some(
        ({ value }) => value.start <= node.start && node.end <= value.end
      )
      const [string] = stringLiterals(node)
      if (!isElsewhere && /_iommu=/.test(string?.text ?? node.text)) found = true
      return undefined
    })
    return found
  })
}

/** A finding with the fix that turns the IOMMU on, at `first` or, if the fix edits another file, at the edited list. */
function turnOn(
  view: BootEntryView,
  first: Place,
  textFor: (by: IntelSwitch) => FindingText
): Finding {
  const [type] = possibleValuesOf(view, 'virtualisation.vfio.IOMMUType')
  if (type?.text === '"amd"' && type.isCertain) {
    const fix: Fix = [{ op: 'set', path: type.definition.fullPath, value: 'intel' }]
    return findingAt(type.definition, { ...textFor('option'), fix })
  }
  const params = view.definitionsOf('boot.kernelParams').find(isUnconditional)
  if (!params) return findingAt(first, textFor('parameter'))
  // A fix edits the file of its finding.
  const place = first.path === params.file.path ? first : findingPlace(params)
  const fix: Fix = [{ op: 'add', path: params.fullPath, items: ['intel_iommu=on'] }]
  return findingAt(place, { ...textFor('parameter-in-list'), fix })
}
