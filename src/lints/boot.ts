import {
  dependsOnKernelVersion,
  idBindings,
  kernelParams,
  LOADED,
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
  canApplyTogether,
  type Entry,
  type EntryText,
  hasKernel,
  isOn,
  isSince,
  type View,
  valueText
} from './view.ts'

/** Findings about kernel modules and their load order, the initrd and the kernel. */
export function lintBoot(view: View): Finding[] {
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

function virqfd(view: View): Finding[] {
  if (!hasKernel(view, '6.2')) return []
  const lists = [...LOADED, 'boot.initrd.availableKernelModules']
  return lists.flatMap(list =>
    view
      .items(list)
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
function loadOrder(view: View): Finding[] {
  // vfio-patch's modules load vfio-pci first.
  if (
    view.facts.importsModules &&
    view.definitionsWith('virtualisation.vfio.enable', true).length > 0
  )
    return []
  if (!isSince(view, '25.11')) return []
  const vendors = vendorsOf(idBindings(view))
  const drivers = [...vendors].flatMap(it => DRIVERS.get(it) ?? [])
  const softdeps = modprobeLines(view).map(it => it.line)
  const waitsForVfio = (driver: string) =>
    softdeps.some(line => {
      const [command, module = '', ...words] = line.split(/\s+/)
      return command === 'softdep' && same(module, driver) && words.some(it => same(it, 'vfio_pci'))
    })
  const mayTakeCard = (driver: string) =>
    drivers.some(it => same(it, driver)) && !waitsForVfio(driver)
  const listed = view.items('boot.initrd.kernelModules').filter(it => mayTakeCard(it.text ?? ''))
  const amdgpu = mayTakeCard('amdgpu')
    ? view.definitionsWith('hardware.amdgpu.initrd.enable', true)
    : []
  return [
    ...listed.map(it => {
      const { fullPath } = it.entry
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

function softdepDrm(view: View): Finding[] {
  return modprobeLines(view)
    .filter(it => /^softdep\s+drm\s.*vfio/.test(it.line))
    .map(({ at, line, index }) => findingAt(placeWithin(at, index, line.length), softdepOnDrm()))
}

function preDeviceCommands(view: View): Finding[] {
  if (isOn(view, 'boot.initrd.systemd.enable', isSince(view, '26.05')) !== true) return []
  return SCRIPTED.map(it => `boot.initrd.${it}`).flatMap(option =>
    view
      .at(option)
      .filter(it => /vfio|driver_override/.test(valueText(it)) && !dependsOnInitrdKind(it))
      .map(it => findingAt(it, scriptedInitrdOnly(option)))
  )
}

/** Whether a definition depends on the kind of initrd, as `mkIf (!config.boot.initrd.systemd.enable)` does. */
function dependsOnInitrdKind(entry: Entry): boolean {
  return [...entry.conditions, valueText(entry)].some(it =>
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

function removedOptions(view: View): Finding[] {
  return REMOVED.filter(it => isSince(view, it.since)).flatMap(({ option }) =>
    view
      .at(option)
      .map(it =>
        findingAt(it, { ...optionRemoved(option), fix: [{ op: 'drop', path: it.fullPath }] })
      )
  )
}

const WITH_ACS = /zen|lqx|liquorix|xanmod|cachyos|acs/i
const WITHOUT_ACS =
  /^(?:\w+\.)*linux(?:Packages|kernel\.packages\.linux)(?:_latest|_testing|_hardened|_lts|_\d+_\d+)*$/i

function acsWithoutPatch(view: View): Finding[] {
  const params = kernelParams(view).filter(it => it.param.startsWith('pcie_acs_override='))
  const requests = [
    ...params.map(it => it.item),
    ...view.definitionsWith('virtualisation.vfio.applyACSpatch', true)
  ]
  if (requests.length === 0) return []
  const kernels = view.at('boot.kernelPackages').map(valueText)
  const patches = view.at('boot.kernelPatches').concat(view.below('boot.kernelPatches'))
  if (patches.length > 0 || view.at('virtualisation.vfio.acsPatch').length > 0) return []
  // The kernel may be chosen in a file that was not read.
  if (kernels.length === 0 && !view.isWhole) return []
  if (kernels.some(it => WITH_ACS.test(it) || !WITHOUT_ACS.test(it))) return []
  // Other modules may patch the kernel in any of the files.
  const patch = /boot\.kernelPatches|kernelPatches\s*=/
  if (!view.facts.importsModules && view.files.some(it => patch.test(it.doc.text))) return []
  return requests.map(it => findingAt(it, kernelWithoutAcsPatch(kernels[0])))
}

/** Kernel modules that are not part of Linux and often do not build with the newest kernel. */
function fragileModules(view: View): Finding[] {
  const newest = view
    .at('boot.kernelPackages')
    .find(it => /_(?:latest|testing|zen|xanmod|lqx)|cachyos/.test(valueText(it)))
  if (!newest) return []
  return view.items('boot.extraModulePackages').flatMap(it => {
    const source = it.node.text
    const name = /\b(?:vendor-reset|kvmfr)\b/.exec(source)?.[0]
    if (name === undefined || !canApplyTogether(it, newest)) return []
    return findingAt(it, fragileModule(name, valueText(newest)))
  })
}

const HOOKS_IN_ETC = /^(?:\/?etc\/)?libvirt\/hooks(?:\/|$)/

/** Findings about the scripts that libvirt runs when a guest starts and stops. */
export function lintHooks(view: View): Finding[] {
  const hooks = [
    ...view.below('virtualisation.libvirtd.hooks'),
    ...view
      .below('virtualisation.vfio.guests')
      .filter(it => !/hostCPUs$/.test(it.path.at(-1) ?? ''))
  ]
  const misplaced = view.below('environment.etc').filter(it => HOOKS_IN_ETC.test(it.path[2] ?? ''))
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
function scriptsIn(entry: Entry): EntryText[] {
  return stringLiterals(entry.value).map(it => ({ ...it, entry }))
}

function virsh(script: EntryText): Finding[] {
  // Finds virsh as a command, not as a word in a comment or a message.
  const found = /^(?![ \t]*#)(?:[^\n#]*?[\s;&|(/\ue000])?(virsh)[ \t]/m.exec(script.text)
  if (!found || /\becho\b/.test(found[0])) return []
  const at = found.index + found[0].lastIndexOf('virsh')
  return [findingAt(placeWithin(script, at, 'virsh'.length), hookCallsVirsh())]
}

function shell(script: EntryText): Finding[] {
  // writeShell… adds its own shebang line, so this line is only a comment.
  if (valueText(script.entry).includes('writeShell')) return []
  const found = /^\s*#!(\/(?:usr\/)?bin\/(?!sh\b|env\b)\w+|\/usr\/bin\/env\s+bash)/.exec(
    script.text
  )
  if (!found) return []
  const at = found[0].indexOf('#!')
  const interpreter = found[1] ?? ''
  const text = interpreter.includes('env') ? hookFindsNoBash() : hookInterpreterMissing(interpreter)
  return [findingAt(placeWithin(script, at, found[0].length - at), text)]
}
