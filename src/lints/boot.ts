import {
  asksVersion,
  idBindings,
  kernelParams,
  LOADED,
  modprobeLines,
  vendorsOf
} from './bindings.ts'
import { moduleName } from './earlyDrivers.ts'
import { type Finding, type FindingInit, findingAt, placeWithin, replaceItem } from './finding.ts'
import { stringLiterals } from './values.ts'
import {
  type Entry,
  type EntryText,
  hasKernel,
  isOn,
  isSince,
  spellingOf,
  together,
  type View
} from './view.ts'

/** What the kernel loads, and when. */
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
      .filter(it => /^vfio[-_]virqfd$/.test(it.text ?? '') && !asksVersion(it))
      .map(it =>
        findingAt(it, {
          code: 'VIRQFD',
          level: 'problem',
          message: `the kernel has no module ${it.text} since Linux 6.2`,
          why: list.startsWith('boot.initrd')
            ? 'the initrd is built from modules that are there, so the build of the system fails. Its work is done by vfio now.'
            : 'it is part of vfio now; the boot log has an error for it.',
          remedy: 'take it out',
          fix: replaceItem(it, it.text ?? '', [])
        })
      )
  )
}

/** Graphics drivers by the maker whose cards they take. */
const DRIVERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['10de', ['nouveau', 'nvidia', 'nvidia_drm', 'nvidia_modeset', 'nvidiafb', 'nova_core']],
  ['1002', ['amdgpu', 'radeon']],
  ['8086', ['i915', 'xe']]
])

/** Drivers that are loaded before vfio-pci and take the guest's card. */
function loadOrder(view: View): Finding[] {
  // Our modules put vfio-pci first.
  if (view.facts.ours && view.says('virtualisation.vfio.enable', true).length > 0) return []
  if (!isSince(view, '25.11')) return []
  const vendors = vendorsOf(idBindings(view))
  const drivers = [...vendors].flatMap(it => DRIVERS.get(it) ?? [])
  const softdeps = modprobeLines(view).map(it => it.line)
  const isHeld = (driver: string) =>
    softdeps.some(line => {
      const [command, module = '', ...words] = line.split(/\s+/)
      return command === 'softdep' && same(module, driver) && words.some(it => same(it, 'vfio_pci'))
    })
  const loses = (driver: string) => drivers.some(it => same(it, driver)) && !isHeld(driver)
  const found = view.items('boot.initrd.kernelModules').filter(it => loses(it.text ?? ''))
  const init = (driver: string, list: string): FindingInit => ({
    code: 'LOAD_ORDER',
    level: 'problem',
    message: `${driver} is loaded before vfio-pci and can take the guest's card`,
    why: `NixOS sorts ${list} by name since 25.11; the order in which they are written does not count.`,
    remedy: `add a line to boot.extraModprobeConfig: softdep ${driver} pre: vfio-pci`
  })
  const amdgpu = loses('amdgpu') ? view.says('hardware.amdgpu.initrd.enable', true) : []
  return [
    ...found.map(it => {
      const { fullPath } = it.entry
      const path = [...fullPath.slice(0, fullPath.indexOf('boot')), 'boot', 'extraModprobeConfig']
      const fix = [{ op: 'add-line', path, line: `softdep ${it.text} pre: vfio-pci` }] as const
      return findingAt(it, { ...init(it.text ?? '', 'boot.initrd.kernelModules'), fix })
    }),
    ...amdgpu.map(it => findingAt(it, init('amdgpu', 'the modules of the initrd')))
  ]
}

function same(a: string, b: string): boolean {
  return moduleName(a) === moduleName(b)
}

function softdepDrm(view: View): Finding[] {
  return modprobeLines(view)
    .filter(it => /^softdep\s+drm\s.*vfio/.test(it.line))
    .map(({ at, line, index }) =>
      findingAt(placeWithin(at, index, line.length), {
        code: 'SOFTDEP_DRM',
        level: 'problem',
        message: 'a softdep for drm does nothing',
        why: "drm is built into NixOS' kernels, so it is never loaded as a module.",
        remedy: 'name the driver of the card instead, for example: softdep nvidia pre: vfio-pci'
      })
    )
}

function preDeviceCommands(view: View): Finding[] {
  if (isOn(view, 'boot.initrd.systemd.enable', isSince(view, '26.05')) !== true) return []
  return SCRIPTED.map(it => `boot.initrd.${it}`).flatMap(option =>
    view
      .at(option)
      .filter(it => /vfio|driver_override/.test(spellingOf(it)) && !asksForSystemd(it))
      .map(it =>
        findingAt(it, {
          code: 'PRE_DEVICE_COMMANDS',
          level: 'problem',
          message: `systemd in the initrd does not take ${option}`,
          why: 'it is the default since 26.05, and the build stops with a failed assertion. In the older initrd these commands came after the modules of boot.initrd.kernelModules.',
          remedy:
            'name the devices in virtualisation.vfio.addresses (vfio-patch apply --address …), and take the commands out'
        })
      )
  )
}

/** Whether a definition depends on which initrd there is, as with `mkIf (!config.boot.initrd.systemd.enable)`. */
function asksForSystemd(entry: Entry): boolean {
  return [...entry.conditions, spellingOf(entry)].some(it =>
    /\bboot\.initrd\.systemd\.enable\b/.test(it)
  )
}

/** What only the scripted initrd runs, as nixpkgs' nixos/modules/system/boot/systemd/initrd.nix asserts. */
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

/** Options that stop the build where they are set, and the release that lost them. */
const REMOVED = [
  {
    option: 'virtualisation.libvirtd.enableKVM',
    since: '00.00',
    why: 'QEMU uses KVM wherever the processor has it, without an option.'
  },
  {
    option: 'boot.vesa',
    since: '26.11',
    why: 'kernels draw on what the firmware set up, without an option.'
  }
] as const

function removedOptions(view: View): Finding[] {
  return REMOVED.filter(it => isSince(view, it.since)).flatMap(({ option, why }) =>
    view.at(option).map(it =>
      findingAt(it, {
        code: 'REMOVED_OPTION',
        level: 'problem',
        message: `NixOS has no ${option} any more`,
        why: `the build stops where it is set. ${why}`,
        remedy: 'take it out',
        fix: [{ op: 'drop', path: it.fullPath }]
      })
    )
  )
}

const WITH_ACS = /zen|lqx|liquorix|xanmod|cachyos|acs/i
const WITHOUT_ACS =
  /^(?:\w+\.)*linux(?:Packages|kernel\.packages\.linux)(?:_latest|_testing|_hardened|_lts|_\d+_\d+)*$/i

function acsWithoutPatch(view: View): Finding[] {
  const params = kernelParams(view).filter(it => it.param.startsWith('pcie_acs_override='))
  const wishes = [
    ...params.map(it => it.item),
    ...view.says('virtualisation.vfio.applyACSpatch', true)
  ]
  if (wishes.length === 0) return []
  const kernels = view.at('boot.kernelPackages').map(spellingOf)
  const patches = view.at('boot.kernelPatches').concat(view.below('boot.kernelPatches'))
  if (patches.length > 0 || view.at('virtualisation.vfio.acsPatch').length > 0) return []
  // The kernel may be chosen in a file that is not at hand.
  if (kernels.length === 0 && !view.isWhole) return []
  if (kernels.some(it => WITH_ACS.test(it) || !WITHOUT_ACS.test(it))) return []
  // A module of another may patch the kernel wherever it likes.
  const patch = /boot\.kernelPatches|kernelPatches\s*=/
  if (!view.facts.ours && view.files.some(it => patch.test(it.doc.text))) return []
  return wishes.map(it =>
    findingAt(it, {
      code: 'ACS_WITHOUT_PATCH',
      level: 'problem',
      message: 'the IOMMU groups are not split up, as this kernel has no ACS override patch',
      why: `${kernels[0] ?? "NixOS' default kernel"} passes over the parameter without a word.`,
      remedy:
        'choose a kernel with the patch, for example boot.kernelPackages = pkgs.linuxPackages_zen, or take this out'
    })
  )
}

/** Modules from elsewhere that often do not build with the newest kernel. */
function fragileModules(view: View): Finding[] {
  const newest = view
    .at('boot.kernelPackages')
    .find(it => /_(?:latest|testing|zen|xanmod|lqx)|cachyos/.test(spellingOf(it)))
  if (!newest) return []
  return view.items('boot.extraModulePackages').flatMap(it => {
    const source = it.node.text
    const name = /\b(?:vendor-reset|kvmfr)\b/.exec(source)?.[0]
    if (name === undefined || !together(it, newest)) return []
    return findingAt(it, {
      code: 'FRAGILE_MODULE',
      level: 'note',
      message: `${name} often does not build with the newest kernels`,
      why: `it is no part of Linux, and follows its changes late; ${spellingOf(newest)} brings new ones early.`,
      remedy:
        name === 'kvmfr'
          ? 'if the build fails, share the memory by a file (virtualisation.sharedMemoryFiles), or choose an older kernel'
          : 'if the build fails, choose an older kernel, for example pkgs.linuxPackages'
    })
  })
}

const PLACE = /^(?:\/?etc\/)?libvirt\/hooks(?:\/|$)/

/** Scripts that libvirt calls around the start and stop of a guest. */
export function lintHooks(view: View): Finding[] {
  const hooks = [
    ...view.below('virtualisation.libvirtd.hooks'),
    ...view
      .below('virtualisation.vfio.guests')
      .filter(it => !/hostCPUs$/.test(it.path.at(-1) ?? ''))
  ]
  const misplaced = view.below('environment.etc').filter(it => PLACE.test(it.path[2] ?? ''))
  // Told once for each, at what it holds and not at its mode.
  const places = [...new Set(misplaced.map(it => it.path[2]))].flatMap(name => {
    const parts = misplaced.filter(it => it.path[2] === name)
    return parts.find(it => /^(?:source|text)$/.test(it.path[3] ?? '')) ?? parts.slice(0, 1)
  })
  return [
    ...places.map(it =>
      findingAt(it, {
        code: 'HOOK_PLACE',
        level: 'problem',
        message: 'libvirt does not look for hooks in /etc/libvirt/hooks on NixOS',
        why: 'it reads those in /var/lib/libvirt/hooks, so this one is never called.',
        remedy: 'give it to virtualisation.libvirtd.hooks.qemu.NAME, as a path or a package'
      })
    ),
    ...[...hooks, ...misplaced].flatMap(scriptsIn).flatMap(it => [...virsh(it), ...shell(it)])
  ]
}

/** The scripts that are written out in a definition. */
function scriptsIn(entry: Entry): EntryText[] {
  return stringLiterals(entry.value).map(it => ({ ...it, entry }))
}

function virsh(script: EntryText): Finding[] {
  // A command, and no word of a comment or a message.
  const found = /^(?![ \t]*#)(?:[^\n#]*?[\s;&|(/\ue000])?(virsh)[ \t]/m.exec(script.text)
  if (!found || /\becho\b/.test(found[0])) return []
  const at = found.index + found[0].lastIndexOf('virsh')
  return [
    findingAt(placeWithin(script, at, 'virsh'.length), {
      code: 'HOOK_CALLS_VIRSH',
      level: 'problem',
      message: 'a hook must not call virsh',
      why: 'libvirt waits for the hook, and the hook would wait for libvirt.',
      remedy:
        "leave it out: with <hostdev managed='yes'> libvirt takes devices from the host and gives them back itself"
    })
  ]
}

function shell(script: EntryText): Finding[] {
  // This gives a script a first line of its own, and another is only a comment.
  if (spellingOf(script.entry).includes('writeShell')) return []
  const found = /^\s*#!(\/(?:usr\/)?bin\/(?!sh\b|env\b)\w+|\/usr\/bin\/env\s+bash)/.exec(
    script.text
  )
  if (!found) return []
  const at = found[0].indexOf('#!')
  const isEnv = /env/.test(found[1] ?? '')
  return [
    findingAt(placeWithin(script, at, found[0].length - at), {
      code: 'HOOK_SHELL',
      level: 'problem',
      message: isEnv ? 'env finds no bash where libvirt runs a hook' : `NixOS has no ${found[1]}`,
      why: isEnv
        ? "libvirt's service has a short PATH, without the programs of the system."
        : 'programs are in the Nix store; only /bin/sh and /usr/bin/env are where others have them.',
      remedy: 'write the script with pkgs.writeShellScript, which puts the right line there'
    })
  ]
}
