// `--specialisation` if the boot entry is a function, or if imported files define options.

import { describe, expect, it } from 'vitest'
import type { Settings } from '../../src/settings/settings.ts'
import { nix } from '../nix/support.ts'
import { configExpression, describeWithOracle, evalNix, nixPath } from '../oracle/evalModules.ts'
import { withNixos } from '../oracle/machines.ts'
import { type Machine, makeMachine } from './support/machine.ts'

const CARD: Settings = { devices: ['10de:1b80'] }
const MAIN = 'configuration.nix'

function refusal(machine: Machine, settings: Settings, specialisation?: string): unknown {
  const before = machine.files()
  try {
    machine.apply(settings, MAIN, specialisation)
  } catch (error) {
    expect(machine.files()).toEqual(before)
    return JSON.parse((error as Error).message)
  }
  return 'not refused'
}

describe('a boot entry that is a function', () => {
  const given = nix`
    { lib, ... }:
    {
      imports = [ ./hardware-configuration.nix ];

      specialisation = {
        games.configuration = { config, pkgs, ... }: { # for the living room
          # nothing else runs then
          boot.kernelParams = [ "mitigations=off" ];
        };
      };
    }
  `
  const expected = given
    .replace('[ ./hardware', '[ ./vfio ./hardware')
    .replace('[ ./vfio ./hardware-configuration.nix ]', '[ ./hardware-configuration.nix ./vfio ]')
    .replace(
      /( +)(boot.*\n)/,
      '$1$2\n$1virtualisation.vfio = {\n$1  enable = true;\n$1  devices = [ "10de:1b80" ];\n$1};\n'
    )

  it('apply writes options into a function, and remove removes them', () => {
    const machine = makeMachine({ [MAIN]: given })
    machine.apply(CARD, MAIN, 'games')
    expect(machine.read(MAIN)).toBe(expected)
    // Later runs find the entry by its options.
    machine.apply({ ignoreMSRs: true })
    expect(machine.read(MAIN)).toBe(
      expected.replace(/( +)(devices .*\n)/, '$1$2$1ignoreMSRs = true;\n')
    )
    expect(machine.remove().ok).toBe(true)
    expect(machine.files()).toEqual({ [MAIN]: given })
  })

  it('apply keeps CRLF line endings in a function', () => {
    const windows = (text: string) => text.replaceAll('\n', '\r\n')
    const machine = makeMachine({ [MAIN]: windows(given) })
    machine.apply(CARD, MAIN, 'games')
    expect(machine.read(MAIN)).toBe(windows(expected))
    expect(machine.remove().ok).toBe(true)
    expect(machine.files()).toEqual({ [MAIN]: windows(given) })
  })

  it.each([
    [
      '{ pkgs, ... }: { }',
      nix`
        { pkgs, ... }: {
            virtualisation.vfio = {
              enable = true;
              devices = [ "10de:1b80" ];
            };
          }
      `
    ],
    [
      'args: with args.lib; { a.b = 1; }',
      'args: with args.lib; { a.b = 1; virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; }; }'
    ],
    [
      '({ lib, ... }: let a = 1; in { b = a; })',
      '({ lib, ... }: let a = 1; in { b = a; virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; }; })'
    ]
  ])('apply writes options in the style of the function: %s', (value, then) => {
    const text = (it: string) =>
      `{\n  imports = [ ./vfio ];\n  specialisation.vm.configuration = ${it};\n}\n`
    const machine = makeMachine({ [MAIN]: text(value) })
    machine.apply(CARD, MAIN, 'vm')
    expect(machine.read(MAIN)).toBe(text(then.trimEnd()))
    const once = machine.files()
    machine.apply(CARD, MAIN, 'vm')
    expect(machine.files()).toEqual(once)
  })

  it('apply does not repeat inherited options in a function', () => {
    const text = nix`
      {
        imports = [ ./vfio ];
        virtualisation.vfio.ignoreMSRs = true;
        specialisation.vm.configuration = { ... }: {
          boot.kernelParams = [ "quiet" ];
        };
      }
    `
    const machine = makeMachine({ [MAIN]: text })
    machine.apply({ ignoreMSRs: true, disableEFIfb: true }, MAIN, 'vm')
    expect(machine.read(MAIN)).toBe(
      text.replace(
        /( +)(boot.*\n)/,
        '$1$2\n$1virtualisation.vfio = {\n$1  enable = true;\n$1  disableEFIfb = true;\n$1};\n'
      )
    )
  })

  it('apply replaces obsolete settings inside the function only', () => {
    const text = nix`
      {
        imports = [ ./vfio ];
        boot.kernelParams = [ "pci=nomsi" ];
        specialisation.vm.configuration = { lib, ... }: {
          boot.kernelParams = [ "amd_iommu=pt" "vfio-pci.ids=10de:10f0" ];
        };
      }
    `
    const machine = makeMachine({ [MAIN]: text })
    machine.apply({ ignoreMSRs: true }, MAIN, 'vm')
    expect(machine.read(MAIN)).toBe(nix`
      {
        imports = [ ./vfio ];
        boot.kernelParams = [ "pci=nomsi" ];
        specialisation.vm.configuration = { lib, ... }: {
          boot.kernelParams = [ "iommu=pt" ];

          virtualisation.vfio = {
            enable = true;
            ignoreMSRs = true;
            devices = [ "10de:10f0" ];
          };
        };
      }
    `)
  })

  it('apply refuses a function with other IDs for vfio-pci that cannot be moved', () => {
    const text = nix`
      {
        specialisation.vm.configuration = {
          pkgs,
          ...
        }:
        {
          boot.extraModprobeConfig = "options vfio-pci ids=10de:10f0 disable_vga=1";
        };
      }
    `
    expect(refusal(makeMachine({ [MAIN]: text }), CARD, 'vm')).toMatchObject({
      code: 'CONFLICT',
      at: { line: 7, column: 33 }
    })
    const same = text.replace('10de:10f0', '10DE:1B80')
    expect(refusal(makeMachine({ [MAIN]: same }), CARD, 'vm')).toBe('not refused')
  })
})

describe('imported files', () => {
  const main = nix`
    { ... }:
    {
      imports = [ ./gpu.nix ./vfio ];
    }
  `
  const withFile = (gpu: string) => makeMachine({ [MAIN]: main, 'gpu.nix': gpu })

  it('refuses a new boot entry if an imported file passes devices through in every entry', () => {
    const machine = withFile(nix`
      {
        virtualisation.vfio = {
          enable = true;
          devices = [ "10de:1b80" ];
        };
      }
    `)
    expect(refusal(machine, CARD, 'vfio')).toEqual({
      code: 'GIVEN_EVERYWHERE',
      path: MAIN,
      name: 'vfio',
      at: { path: 'gpu.nix', line: 4, column: 5 }
    })
    expect(refusal(withFile('{ virtualisation.vfio.devices = [ ]; }\n'), CARD, 'vfio')).toBe(
      'not refused'
    )
  })

  it('adds options to the entry of an imported file in the configuration itself', () => {
    const machine = withFile(
      '{ specialisation.vm.configuration.virtualisation.vfio.enable = true; }\n'
    )
    machine.apply({ ignoreMSRs: true })
    expect(machine.read(MAIN)).toBe(nix`
      { ... }:
      {
        imports = [ ./gpu.nix ./vfio ];

        specialisation.vm.configuration = {
          virtualisation.vfio = {
            enable = true;
            ignoreMSRs = true;
          };
        };
      }
    `)
  })

  it('refuses to choose between the entries of two imported files', () => {
    const machine = withFile(nix`
      {
        specialisation.a.configuration.virtualisation.vfio.enable = true;
        specialisation.b.configuration = { ... }: { virtualisation.vfio.enable = true; };
      }
    `)
    expect(refusal(machine, { ignoreMSRs: true })).toEqual({
      code: 'SEVERAL_PROFILES',
      path: MAIN,
      names: ['a', 'b'],
      everywhere: false
    })
    expect(refusal(machine, { ignoreMSRs: true }, 'b')).toBe('not refused')
  })

  it('refuses an entry if an imported file sets its inheritParentConfig to false', () => {
    const machine = withFile('{ specialisation.vm.inheritParentConfig = false; }\n')
    expect(refusal(machine, CARD, 'vm')).toMatchObject({
      code: 'NO_TARGET',
      at: { line: 1, column: 3 }
    })
  })
})

describe('qemu.conf', () => {
  const given = (text: string, option = 'qemu.verbatimConfig') => nix`
    {
      imports = [ ./vfio ];
      virtualisation.libvirtd.${option} = ''
        namespaces = []
        ${text}
      '';
    }
  `
  const LIST = 'cgroup_device_acl = [ "/dev/null", "/dev/kvm", "/dev/input/event3" ]'
  const kept = 'clear_emulation_capabilities = 0'
  const conflict = (key: string, instead: string) => ({
    code: 'CONFLICT',
    at: { line: 5, column: 5 },
    message: `this and vfio-patch's modules both set ${key}, but libvirt reads only one of them`,
    hint: `write ${instead} here instead, then run this again`
  })

  it.each<[string, Settings, unknown]>([
    [
      LIST,
      { deviceACL: ['/dev/kvmfr0'] },
      conflict('cgroup_device_acl', 'its devices as virtualisation.libvirtd.deviceACL = [ … ];')
    ],
    [
      LIST,
      { kvmfr: [64] },
      conflict('cgroup_device_acl', 'its devices as virtualisation.libvirtd.deviceACL = [ … ];')
    ],
    [
      kept,
      { clearEmulationCapabilities: false },
      conflict(
        'clear_emulation_capabilities',
        'virtualisation.libvirtd.clearEmulationCapabilities = false;'
      )
    ],
    [LIST, { devices: ['10de:1b80'] }, 'not refused'],
    [kept, { deviceACL: ['/dev/kvmfr0'] }, 'not refused']
  ])(
    'compares qemu.conf for every entry with options for one entry: %s, %j',
    (line, settings, expected) => {
      for (const option of ['qemu.verbatimConfig', 'qemuVerbatimConfig']) {
        const result = refusal(makeMachine({ [MAIN]: given(line, option) }), settings, 'vfio')
        if (typeof expected === 'string') expect(result).toBe(expected)
        else expect(result).toMatchObject(expected as object)
      }
    }
  )

  it('moves a cgroup_device_acl into deviceACL if the options are for every entry', () => {
    const machine = makeMachine({ [MAIN]: given(LIST, 'qemuVerbatimConfig') })
    machine.apply({ deviceACL: ['/dev/kvmfr0'] })
    expect(machine.read(MAIN)).toContain(
      'virtualisation.libvirtd.deviceACL = [ "/dev/kvmfr0" "/dev/input/event3" ];'
    )
  })
})

describeWithOracle('options of one entry with settings of every entry', oracle => {
  const specialisation = nixPath(new URL('../oracle/specialisation.nix', import.meta.url).pathname)
  /** The failed assertions of each entry. */
  const failures = (machine: Machine) => {
    const failed = 'c: map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions)'
    const view = `c: { everyEntry = (${failed}) c; oneEntry = (${failed}) c.specialisation.vfio.configuration; }`
    const modules = [withNixos(''), specialisation, nixPath(`${machine.folder}/${MAIN}`)]
    const result = evalNix(configExpression(oracle, view, { modules }))
    if (!result.ok) throw new Error(result.error)
    return result.value
  }

  it('build together if a function has a card and deviceACL is for every entry', () => {
    const machine = makeMachine({
      [MAIN]: nix`
        {
          virtualisation.libvirtd.enable = true;
          virtualisation.libvirtd.qemu.verbatimConfig = ''
            namespaces = []
            user = "alice"
          '';
          specialisation.vfio.configuration = { ... }: { };
        }
      `
    })
    machine.apply({ ...CARD, deviceACL: ['/dev/kvmfr0'] }, MAIN, 'vfio')
    expect(failures(machine)).toEqual({ everyEntry: [], oneEntry: [] })
  })

  it('do not build if apply refuses their combination', () => {
    const machine = makeMachine({
      [MAIN]: nix`
        {
          virtualisation.libvirtd.enable = true;
          virtualisation.libvirtd.qemu.verbatimConfig = ''
            namespaces = []
          '';
        }
      `
    })
    machine.apply({ deviceACL: ['/dev/kvmfr0'] }, MAIN, 'vfio')
    const text = machine.read(MAIN)
    machine.write(
      MAIN,
      text.replace(/(namespaces = \[\]\n)/, '$1cgroup_device_acl = [ "/dev/kvm" ]\n')
    )
    expect(failures(machine)).toEqual({
      everyEntry: [],
      oneEntry: [expect.stringContaining("sets `cgroup_device_acl' a second time")]
    })
  })
})
