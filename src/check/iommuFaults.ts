// What keeps the IOMMU off, now or after the next boot.

import { isPlain, isUnconditional, kernelParams } from '../lints/bindings.ts'
import {
  type Finding,
  type FindingInit,
  findingAt,
  findingPlace,
  type Place,
  replaceItem
} from '../lints/finding.ts'
import { intelIommu, lastWord, wordsOf } from '../lints/kernelParams.ts'
import { isStringNode, stringLiterals } from '../lints/values.ts'
import { contendersFor, type EntryItem, type View } from '../lints/view.ts'
import { visit } from '../nix/index.ts'
import type { MachineState, Thing } from './state.ts'

/** Nothing can be given away, as no groups are made; or none will be after the next boot. */
export function iommuFaults(state: MachineState, things: readonly Thing[]): Finding[] {
  const { machine, asked } = state
  const { first } = asked
  if (!first) return []
  const isOff = things.some(it => it.kind === 'iommu' && it.verdict === 'not-active')
  if (isOff && machine.iommu.isOffered === false) return [notOffered(state, first)]
  const off = iommuTurnedOff(state)
  if (off) return [off]
  if (isOff) return [nowOff(state, first)]
  return machine.iommu.groups > 0 ? lostAtBoot(state, first) : []
}

function iommuOff(
  at: Place | EntryItem,
  words: Omit<FindingInit, 'code' | 'level'>,
  level: Finding['level'] = 'problem'
): Finding {
  return findingAt(at, { code: 'IOMMU_OFF', level, ...words })
}

const NAMES = {
  intel: 'VT-d',
  amd: 'IOMMU or AMD-Vi (beside SVM)',
  other: 'VT-d, IOMMU or AMD-Vi'
} as const

function notOffered({ machine }: MachineState, first: Place): Finding {
  const { board } = machine.firmware
  const name = NAMES[machine.cpu.vendor ?? 'other']
  return iommuOff(first, {
    message: 'the firmware offers no IOMMU, so nothing can be given to a guest',
    why: `it has a switch for it, called ${name}, which is often off${board === undefined ? '' : ` (${board})`}.`,
    remedy: `switch on ${name} in the firmware setup, then look again: vfio-patch check`
  })
}

function nowOff({ machine, asked, entry }: MachineState, first: Place): Finding {
  const name = NAMES[machine.cpu.vendor ?? 'other']
  const { view } = entry
  if (machine.cpu.vendor !== 'intel' || asked.intelIommu === 'on') {
    return iommuOff(first, {
      message: `the kernel makes no IOMMU groups${machine.iommu.isOffered ? ', though the firmware offers an IOMMU' : ''}`,
      why: 'without groups nothing can be given to a guest.',
      remedy: `see that ${name} is on in the firmware setup, and that no kernel parameter says iommu=off`
    })
  }
  if (!isOffByDefault(view) || mayTurnOn(view) || view.facts.isPartial) {
    return iommuOff(first, {
      message: 'the IOMMU is off, and it is not certain that the next boot turns it on',
      why: 'this configuration may turn it on in a way that is not understood here; without it nothing can be given to a guest.',
      remedy: `reboot into what this configuration builds; if it is still off, ${TURN_ON}`
    })
  }
  const { place, ...edit } = turnOn(view, first)
  return iommuOff(place, {
    message: 'the IOMMU is off, as nothing turns it on',
    why: 'NixOS leaves that of Intel off; without it nothing can be given to a guest.',
    ...edit
  })
}

const TURN_ON = 'add "intel_iommu=on" to boot.kernelParams, or vfio-patch apply --iommu intel'

/** A parameter that turns off the IOMMU of this processor, and that no later one contradicts. */
function iommuTurnedOff({ machine, asked, entry }: MachineState): Finding | undefined {
  const written = kernelParams(entry.view).filter(
    it => isUnconditional(it.item) && isPlain(it.param)
  )
  const offIn = (name: string) => written.findLast(it => wordsOf(it.param, name).includes('off'))
  const params = [...written, ...asked.params].map(it => it.param)
  const isAmdOff = machine.cpu.vendor === 'amd' && lastWord(params, 'amd_iommu', ['off'])
  const isIntelOff = machine.cpu.vendor === 'intel' && intelIommu(params) === 'off'
  const found =
    offIn('iommu') ??
    (isAmdOff ? offIn('amd_iommu') : undefined) ??
    (isIntelOff ? offIn('intel_iommu') : undefined)
  if (!found) return undefined
  const { item, param } = found
  const isOn = machine.iommu.groups > 0
  const [name, value = ''] = param.split('=')
  const rest = value.split(',').filter(it => it !== 'off' && it !== '')
  const instead = rest.length === 0 ? [] : [`${name}=${rest.join(',')}`]
  return iommuOff(item, {
    message: `${param} turns the IOMMU off`,
    why: `${isOn ? 'it is on now, and will be off after the next boot; ' : ''}without it nothing can be given to a guest.`,
    remedy: 'take it out',
    fix: replaceItem(item, param, instead)
  })
}

/** The running system has intel_iommu=on, and what is built from the configuration will not. */
function lostAtBoot({ machine, asked, entry }: MachineState, first: Place): Finding[] {
  const { view } = entry
  const wasTurnedOn = machine.cpu.vendor === 'intel' && intelIommu(machine.kernelParams) === 'on'
  if (!wasTurnedOn || asked.intelIommu === 'on') return []
  if (!view.isWhole || !isOffByDefault(view) || mayTurnOn(view)) return []
  const why =
    "the running system was started with intel_iommu=on, without which NixOS' kernels leave Intel's IOMMU off; then nothing can be given to a guest."
  if (view.facts.isPartial) {
    const message =
      'the IOMMU will be off after the next boot, unless a module that was not read turns it on'
    return [iommuOff(first, { message, why, remedy: TURN_ON }, 'note')]
  }
  const message =
    'the IOMMU will be off after the next boot, as this configuration does not turn it on'
  const { place, ...edit } = turnOn(view, first)
  return [iommuOff(place, { message, why, ...edit })]
}

// nixpkgs configures all of these alike (pkgs/os-specific/linux/kernel/common-config.nix), without
// CONFIG_INTEL_IOMMU_DEFAULT_ON.
const OF_NIXPKGS =
  /^(?:\w+\.)*linux(?:Packages|kernel\.packages\.linux)(?:_latest|_testing|_lts|_zen|_lqx|_xanmod(?:_\w+)?|_\d+_\d+)?$/

/** Whether the kernel is one that leaves Intel's IOMMU off without a parameter. */
function isOffByDefault(view: View): boolean {
  const kernels = contendersFor(view, 'boot.kernelPackages')
  const isChanged = view.files.some(it => it.doc.text.includes('INTEL_IOMMU_DEFAULT_ON'))
  return !isChanged && kernels.every(it => OF_NIXPKGS.test(it.spelling))
}

/** Whether a text anywhere says something of the IOMMU that can't be told for sure not to count. */
function mayTurnOn(view: View): boolean {
  const certain = new Set(
    kernelParams(view)
      .filter(it => isUnconditional(it.item) && isPlain(it.param))
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

/** What turns it on: our own option where it says otherwise, else one more parameter. */
function turnOn(view: View, first: Place): { place: Place } & Pick<FindingInit, 'remedy' | 'fix'> {
  const [type] = contendersFor(view, 'virtualisation.vfio.IOMMUType')
  if (type?.spelling === '"amd"' && type.isCertain) {
    return {
      place: findingPlace(type.entry),
      remedy: 'write virtualisation.vfio.IOMMUType = "intel";',
      fix: [{ op: 'set', path: type.entry.fullPath, value: 'intel' }]
    }
  }
  const params = view.at('boot.kernelParams').find(isUnconditional)
  if (!params) return { place: first, remedy: TURN_ON }
  return {
    // A whole list says little, but a fix is for the file of its finding.
    place: first.path === params.file.path ? first : findingPlace(params),
    remedy: 'add "intel_iommu=on" to boot.kernelParams',
    fix: [{ op: 'add', path: params.fullPath, items: ['intel_iommu=on'] }]
  }
}
