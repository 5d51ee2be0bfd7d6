import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { scriptOf, type Wanted } from '../guestService/support/service.ts'
import {
  configExpression,
  evalConfigs,
  evalNix,
  nixPath,
  type Oracle,
  type Outcome
} from './evalModules.ts'

/** The folder of the shipped modules. */
export const shippedModules = fileURLToPath(new URL('../../nixos', import.meta.url))

/** All settings that the modules can change, with the failed assertions and warnings of a rebuild. */
export const stateOf = `config: {
  inherit (config.boot) kernelParams kernelModules blacklistedKernelModules extraModprobeConfig;
  initrdKernelModules = config.boot.initrd.kernelModules;
  initrdServices = config.boot.initrd.systemd.services or { };
  initrdCommands = config.boot.initrd.preDeviceCommands;
  services = builtins.mapAttrs (_: unit: unit // { path = map toString unit.path; }) config.systemd.services;
  kernelPatches = map (patch: patch.name) config.boot.kernelPatches;
  modulePackages = map (package: package.name) config.boot.extraModulePackages;
  tmpfiles = config.systemd.tmpfiles.rules;
  udevRules = config.services.udev.extraRules;
  groups = builtins.mapAttrs (_: group: group.members) config.users.groups;
  users = builtins.attrNames config.users.users;
  libvirtd = {
    inherit (config.virtualisation.libvirtd) enable onShutdown;
    qemuConf = config.virtualisation.libvirtd.qemu.verbatimConfig;
    hooks = builtins.mapAttrs (_: hook: hook.text) config.virtualisation.libvirtd.hooks.qemu;
  };
  failures = map (failed: failed.message) (builtins.filter (a: !a.assertion) config.assertions);
  inherit (config) warnings;
}`

/** The state of an empty NixOS configuration. */
export const untouched = {
  kernelParams: [] as string[],
  kernelModules: [] as string[],
  blacklistedKernelModules: [] as string[],
  extraModprobeConfig: '',
  initrdKernelModules: [] as string[],
  initrdServices: {},
  initrdCommands: '',
  services: {} as Record<string, unknown>,
  kernelPatches: [] as string[],
  modulePackages: [] as string[],
  tmpfiles: [] as string[],
  udevRules: '',
  groups: {},
  users: [] as string[],
  libvirtd: {
    enable: false,
    onShutdown: 'suspend',
    qemuConf: 'namespaces = []\n',
    hooks: {} as Record<string, string>
  },
  failures: [] as string[],
  warnings: [] as string[]
}
export type State = typeof untouched

export const softdeps = `softdep amdgpu pre: vfio-pci
softdep radeon pre: vfio-pci
softdep nouveau pre: vfio-pci
softdep nova_core pre: vfio-pci
softdep nvidia pre: vfio-pci post: nvidia-uvm
softdep nvidiafb pre: vfio-pci
softdep i915 pre: vfio-pci
softdep xe pre: vfio-pci
softdep snd_hda_intel pre: vfio-pci
softdep i2c_nvidia_gpu pre: vfio-pci`

/** The store path of a package in `nixosOptions.nix`, where nothing is built. */
export const inStore = (name: string) => `/nix/store/00000000000000000000000000000000-${name}`

/** The unit that defines guests in libvirt. Without guests it runs only if guests were defined before. */
export function guestService(wanted: Wanted = {}): State['services'] {
  const unitConfig = wanted.defined ? {} : { ConditionPathExists: '/var/lib/vfio-guests' }
  return {
    'vfio-guests': {
      description: 'Define the guests of the configuration in libvirt',
      wantedBy: ['multi-user.target'],
      before: [],
      after: ['libvirtd.service'],
      requires: ['libvirtd.service'],
      path: [inStore('libvirt')],
      environment: { LIBVIRT_DEFAULT_URI: 'qemu:///system', LC_ALL: 'C' },
      unitConfig,
      serviceConfig: {
        Type: 'oneshot',
        RemainAfterExit: true,
        StateDirectory: 'vfio-guests',
        StateDirectoryMode: '0700',
        TimeoutStartSec: '5min'
      },
      script: scriptOf(wanted)
    }
  }
}

/** The user's module that most cases extend, and its state. */
export const oneCard = '{ virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; }; }'
export const withOneCard: State = {
  ...untouched,
  kernelParams: ['intel_iommu=on', 'iommu=pt', 'vfio-pci.ids=10de:1b80'],
  initrdKernelModules: ['vfio', 'vfio_iommu_type1', 'vfio_pci'],
  extraModprobeConfig: softdeps,
  services: guestService(),
  libvirtd: { ...untouched.libvirtd, enable: true, onShutdown: 'shutdown' }
}

/** A qemu.conf with libvirt's default devices and additional ones. */
export const qemuConf = (...devices: string[]) => `namespaces = []
cgroup_device_acl = [
  "/dev/null",
  "/dev/full",
  "/dev/zero",
  "/dev/random",
  "/dev/urandom",
  "/dev/ptmx",
  "/dev/kvm",
  "/dev/userfaultfd",
${devices.map(device => `  "${device}"`).join(',\n')}
]
`

/** The shipped modules as a Nix expression. */
export const vfioModules = nixPath(shippedModules)
/** A Nix expression for the options of NixOS. `shape` are arguments of nixosOptions.nix. */
export function withNixos(shape: string): string {
  return `import ${nixPath(fileURLToPath(new URL('nixosOptions.nix', import.meta.url)))} { ${shape} }`
}

/**
 * Functions that define tests of configurations. `config` is the text of the user's module without braces,
 * `nixos` are arguments of nixosOptions.nix. A single run of Nix evaluates all configurations of a file
 * when the first test needs a state.
 */
export function machines(oracle: Oracle) {
  const cases: { modules: string[] }[] = []
  let outcomes: Outcome[] | undefined
  const add = (modules: string[]) => {
    const index = cases.push({ modules }) - 1
    return () => {
      outcomes ??= evalConfigs(oracle, stateOf, cases)
      return outcomes[index]?.value
    }
  }
  const expectState = (title: string, modules: string[], expected: State) => {
    const state = add(modules)
    it(title, () => expect(state()).toEqual(expected))
  }

  return {
    /** Tests that the user's module and the shipped modules have exactly this state. */
    produces: (title: string, config: string, expected: State, nixos = '') =>
      expectState(title, [withNixos(nixos), vfioModules, `{ ${config} }`], expected),

    /** As `produces`, with {@link oneCard} as an additional module. */
    adds: (title: string, config: string, expected: State, nixos = '') =>
      expectState(title, [withNixos(nixos), vfioModules, oneCard, `{ ${config} }`], expected),

    /** Tests that importing the shipped modules does not change the state of the user's module. */
    leaves: (title: string, config: string, nixos = '') => {
      const before = add([withNixos(nixos), `{ ${config} }`])
      const after = add([withNixos(nixos), `{ ${config} }`, vfioModules])
      it(title, () => {
        expect(before()).toBeDefined()
        expect(after()).toEqual(before())
      })
    },

    /** Tests that exactly these assertions of a rebuild fail. */
    fails: (title: string, config: string, failures: string[], nixos = '') =>
      it(title, () => {
        const modules = [withNixos(nixos), vfioModules, `{ ${config} }`]
        const onlyFailures = `config: ((${stateOf}) config).failures`
        expect(evalNix(configExpression(oracle, onlyFailures, { modules }))).toEqual({
          ok: true,
          value: failures
        })
      }),

    /** Tests that the user's module is invalid, and that the error of Nix contains this text. */
    refuses: (title: string, config: string, text: string) =>
      it(title, () => {
        const modules = [withNixos(''), vfioModules, `{ ${config} }`]
        const result = evalNix(configExpression(oracle, stateOf, { modules }))
        expect(result.ok ? 'evaluated' : result.error).toContain(text)
      })
  }
}
