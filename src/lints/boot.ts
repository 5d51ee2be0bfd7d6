import {
  dependsOnKernelVersion,
  idPlaces,
  kernelParams,
  LOADED_MODULE_LISTS,
  modprobeLines,
  vendorsOf
} from './bindings.ts'
import { moduleName } from './earlyDrivers.ts'
import { type Finding, findingAt, placeWithin, replaceItem } from './finding.ts'
import {
  fragileModule,
  kernelWithoutAcsPatch,
  loadsBeforeVfio,
  optionRemoved,
  type RemovedOption,
  scriptedInitrdOnly,
  softdepOnDrm,
  virqfdRemoved
} from './messages/boot.ts'
import {
  hookCallsVirsh,
  hookFindsNoBash,
  hookInEtc,
  hookInterpreterMissing
} from './messages/hooks.ts'
import { stringLiterals } from './values.ts'
import {
  type BootEntryView,
  canApplyTogether,
  type DefinitionString,
  hasKernel,
  hasRelease,
  isOptionOn,
  type OptionDefinition,
  valueText
} from './view.ts'

/** Findings about kernel modules and their load order, the initrd and the kernel. */
export function lintBoot(view: BootEntryView): Finding[] {
  return [
    ...virqfd(view),
    ...loadOrder(view),
    ...softdepDrm(view),
    ...preDeviceCommands(view),
    ...removedOptions(view),
    ...acsWithoutPatch(view),
    ...fragileModules(view)
  ]
}

function virqfd(view: BootEntryView): Finding[] {
  if (!hasKernel(view, '6.2')) return []
  const lists = [...LOADED_MODULE_LISTS, 'boot.initrd.availableKernelModules']
  return lists.flatMap(list =>
    view
      .itemsIn(list)
      .filter(it => /^vfio[-_]virqfd$/.test(it.text ?? '') && !dependsOnKernelVersion(it))
      .map(it =>
        findingAt(it, {
          ...virqfdRemoved(it.text ?? '', list.startsWith('boot.initrd')),
          fix: replaceItem(it, it.text ?? '', [])
        })
      )
  )
}

/** Graphics drivers by the vendor of their cards. */
const DRIVERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['10de', ['nouveau', 'nvidia', 'nvidia_drm', 'nvidia_modeset', 'nvidiafb', 'nova_core']],
  ['1002', ['amdgpu', 'radeon']],
  ['8086', ['i915', 'xe']]
])

/** Drivers that are loaded before vfio-pci and take the guest's card. */
function loadOrder(view: BootEntryView): Finding[] {
  // vfio-patch's modules load vfio-pci first.
  if (
    view.facts.importsModules &&
    view.definitionsWith('virtualisation.vfio.enable', true).length > 0
  )
    return []
  if (!hasRelease(view, '25.11')) return []
  const vendors = vendorsOf(idPlaces(view))
  const drivers = [...vendors].flatMap(it => DRIVERS.get(it) ?? [])
  const softdeps = modprobeLines(view).map(it => it.line)
  const waitsForVfio = (driver: string) =>
    softdeps.some(line => {
      const [command, module = '', ...words] = line.split(/\s+/)
      return command === 'softdep' && same(module, driver) && words.some(it => same(it, 'vfio_pci'))
    })
  const mayTakeCard = (driver: string) =>
    drivers.some(it => same(it, driver)) && !waitsForVfio(driver)
  const listed = view.itemsIn('boot.initrd.kernelModules').filter(it => mayTakeCard(it.text ?? ''))
  const amdgpu = mayTakeCard('amdgpu')
    ? view.definitionsWith('hardware.amdgpu.initrd.enable', true)
    : []
  return [
    ...listed.map(it => {
      const { fullPath } = it.definition
      const path = [...fullPath.slice(0, fullPath.indexOf('boot')), 'boot', 'extraModprobeConfig']
      const fix = [{ op: 'add-line', path, line: `softdep ${it.text} pre: vfio-pci` }] as const
      return findingAt(it, { ...loadsBeforeVfio(it.text ?? '', 'boot.initrd.kernelModules'), fix })
    }),
    ...amdgpu.map(it => findingAt(it, loadsBeforeVfio('amdgpu', 'the modules of the initrd')))
  ]
}

function same(a: string, b: string): boolean {
  return moduleName(a) === moduleName(b)
}

function softdepDrm(view: BootEntryView): Finding[] {
  return modprobeLines(view)
    .filter(it => /^softdep\s+drm\s.*vfio/.test(it.line))
    .map(({ at, line, index }) => findingAt(placeWithin(at, index, line.length), softdepOnDrm()))
}

function preDeviceCommands(view: BootEntryView): Finding[] {
  if (isOptionOn(view, 'boot.initrd.systemd.enable', hasRelease(view, '26.05')) !== true) return []
  return SCRIPTED.map(it => `boot.initrd.${it}`).flatMap(option =>
    view
      .definitionsOf(option)
      .filter(it => /vfio|driver_override/.test(valueText(it)) && !dependsOnInitrdKind(it))
      .map(it => findingAt(it, scriptedInitrdOnly(option)))
  )
}

/** Whether a definition depends on the kind of initrd, as `mkIf (!config.boot.initrd.systemd.enable)` does. */
function dependsOnInitrdKind(definition: OptionDefinition): boolean {
  return [...definition.conditions, valueText(definition)].some(it =>
    /\bboot\.initrd\.systemd\.enable\b/.test(it)
  )
}

/** The options that only the scripted initrd supports, as nixpkgs' nixos/modules/system/boot/systemd/initrd.nix asserts. */
const SCRIPTED = [
  'preFailCommands',
  'preDeviceCommands',
  'preLVMCommands',
  'postDeviceCommands',
  'postResumeCommands',
  'postMountCommands',
  'extraUdevRulesCommands',
  'extraUtilsCommands',
  'extraUtilsCommandsTest',
  'network.postCommands'
] as const

/** Options that make the build fail, and the NixOS release that removed them. */
const REMOVED: readonly { option: RemovedOption; since: string }[] = [
  { option: 'virtualisation.libvirtd.enableKVM', since: '00.00' },
  { option: 'boot.vesa', since: '26.11' }
]

function removedOptions(view: BootEntryView): Finding[] {
  return REMOVED.filter(it => hasRelease(view, it.since)).flatMap(({ option }) =>
    view
      .definitionsOf(option)
      .map(it =>
        findingAt(it, { ...optionRemoved(option), fix: [{ op: 'drop', path: it.fullPath }] })
      )
  )
}

const WITH_ACS = /zen|lqx|liquorix|xanmod|cachyos|acs/i
const WITHOUT_ACS =
  /^(?:\w+\.)*linux(?:Packages|kernel\.packages\.linux)(?:_latest|_testing|_hardened|_lts|_\d+_\d+)*$/i

function acsWithoutPatch(view: BootEntryView): Finding[] {
  const params = kernelParams(view).filter(it => it.param.startsWith('pcie_acs_override='))
  const requests = [
    ...params.map(it => it.item),
    ...view.definitionsWith('virtualisation.vfio.applyACSpatch', true)
  ]
  if (requests.length === 0) return []
  const kernels = view.definitionsOf('boot.kernelPackages').map(valueText)
  const patches = view
    .definitionsOf('boot.kernelPatches')
    .concat(view.definitionsBelow('boot.kernelPatches'))
  if (patches.length > 0 || view.definitionsOf('virtualisation.vfio.acsPatch').length > 0) return []
  // The kernel may be chosen in a file that was not read.
  if (kernels.length === 0 && !view.isComplete) return []
  if (kernels.some(it => WITH_ACS.test(it) || !WITHOUT_ACS.test(it))) return []
  // Other modules may patch the kernel in any of the files.
  const patch = /boot\.kernelPatches|kernelPatches\s*=/
  if (!view.facts.importsModules && view.files.some(it => patch.test(it.doc.text))) return []
  return requests.map(it => findingAt(it, kernelWithoutAcsPatch(kernels[0])))
}

/** Kernel modules that are not part of Linux and often do not build with the newest kernel. */
function fragileModules(view: BootEntryView): Finding[] {
  const newest = view
    .definitionsOf('boot.kernelPackages')
    .find(it => /_(?:latest|testing|zen|xanmod|lqx)|cachyos/.test(valueText(it)))
  if (!newest) return []
  return view.itemsIn('boot.extraModulePackages').flatMap(it => {
    const source = it.node.text
    const name = /\b(?:vendor-reset|kvmfr)\b/.exec(source)?.[0]
    if (name === undefined || !canApplyTogether(it, newest)) return []
    return findingAt(it, fragileModule(name, valueText(newest)))
  })
}

const HOOKS_IN_ETC = /^(?:\/?etc\/)?libvirt\/hooks(?:\/|$)/

/** Findings about the scripts that libvirt runs when a guest starts and stops. */
export function lintHooks(view: BootEntryView): Finding[] {
  const hooks = [
    ...view.definitionsBelow('virtualisation.libvirtd.hooks'),
    ...view
      .definitionsBelow('virtualisation.vfio.guests')
      .filter(it => !/hostCPUs$/.test(it.path.at(-1) ?? ''))
  ]
  const misplaced = view
    .definitionsBelow('environment.etc')
    .filter(it => HOOKS_IN_ETC.test(it.path[2] ?? ''))
  // One finding per file, at its content if possible, not at its mode.
  const places = [...new Set(misplaced.map(it => it.path[2]))].flatMap(name => {
    const parts = misplaced.filter(it => it.path[2] === name)
    return parts.find(it => /^(?:source|text)$/.test(it.path[3] ?? '')) ?? parts.slice(0, 1)
  })
  return [
    ...places.map(it => findingAt(it, hookInEtc())),
    ...[...hooks, ...misplaced].flatMap(scriptsIn).flatMap(it => [...virsh(it), ...shell(it)])
  ]
}

/** The scripts that are string literals in a definition. */
function scriptsIn(definition: OptionDefinition): DefinitionString[] {
  return stringLiterals(definition.value).map(it => ({ ...it, definition }))
}

function virsh(script: DefinitionString): Finding[] {
  // Finds virsh as a command, not as a word in a comment or a message.
  const found = /^(?![ \t]*#)(?:[^\n#]*?[\s;&|(/\ue000])?(virsh)[ \t]/m.exec(script.text)
  if (!found || /\becho\b/.test(found[0])) return []
  const at = found.index + found[0].lastIndexOf('virsh')
  return [findingAt(placeWithin(script, at, 'virsh'.length), hookCallsVirsh())]
}

function shell(script: DefinitionString): Finding[] {
  // writeShell… adds its own shebang line, so this line is only a comment.
  if (valueText(script.definition).includes('writeShell')) return []
  const found = /^\s*#!(\/(?:usr\/)?bin\/(?!sh\b|env\b)\w+|\/usr\/bin\/env\s+bash)/.exec(
    script.text
  )
  if (!found) return []
  const at = found[0].indexOf('#!')
  const interpreter = found[1] ?? ''
  const text = interpreter.includes('env') ? hookFindsNoBash() : hookInterpreterMissing(interpreter)
  return [findingAt(placeWithin(script, at, found[0].length - at), text)]
}
