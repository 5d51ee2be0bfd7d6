// `--specialisation`: where options are written, which text does not change, and which edits are refused.

import { describe, expect, it } from 'vitest'
import { stamp } from '../../src/configuration/stamp.ts'
import { parseDocument } from '../../src/nix/index.ts'
import { planApply } from '../../src/plan/apply.ts'
import { profilesOf } from '../../src/plan/bootEntry.ts'
import type { Settings } from '../../src/settings/settings.ts'
import { nix } from '../nix/support.ts'
import { listingOf, shippedWith } from '../support/configuration.ts'
import { inputFor } from './support/input.ts'
import { makeMachine } from './support/machine.ts'

const shipped = new Map([['default.nix', stamp('1.0.0', '{ }\n')]])
const CARD: Settings = { devices: ['10de:1b80'] }

function plan(text: string, settings: Settings, specialisation?: string) {
  return planApply(
    inputFor('/etc/nixos/configuration.nix', text, settings, {
      specialisation,
      listing: listingOf(shipped),
      modules: shippedWith(shipped)
    })
  )
}

/** The configuration after the run. A second run, with or without the entry's name, must change nothing. */
function applied(text: string, settings: Settings, specialisation?: string): string {
  const first = plan(text, settings, specialisation)
  if (!first.ok) throw new Error(JSON.stringify(first.error))
  const after = first.value.configuration.text
  const { specialisation: entry } = first.value
  for (const again of [plan(after, settings, entry ?? undefined), plan(after, {})]) {
    expect(again.ok && again.value.files).toEqual([])
  }
  return after
}

function refusal(text: string, settings: Settings, specialisation?: string): string {
  const result = plan(text, settings, specialisation)
  if (result.ok) return 'not refused'
  const { error } = result
  return error.code === 'NIX'
    ? `${error.error.code} ${error.error.at.line}: ${error.error.message}; ${error.error.hint}`
    : error.code
}

const GIVEN = nix`
  { ... }:
  {
    imports = [ ./hardware-configuration.nix ];

    boot.kernelParams = [ "quiet" ];

    system.stateVersion = "26.05";
  }
`

const SEPARATE = nix`
  { ... }:
  {
    imports = [ ./hardware-configuration.nix ./vfio ];

    boot.kernelParams = [ "quiet" ];

    specialisation.vfio.configuration = {
      virtualisation.vfio = {
        enable = true;
        IOMMUType = "amd";
        devices = [ "10de:1b80" ];
        users = [ "alice" ];
      };

      virtualisation.sharedMemoryFiles = {
        looking-glass = { user = "alice"; group = "kvm"; mode = "0660"; };
      };

      virtualisation.hugepages = {
        enable = true;
        defaultPageSize = "1G";
        pageSize = "1G";
        numPages = 8;
      };

      virtualisation.libvirtd.deviceACL = [ "/dev/kvmfr0" ];
    };

    system.stateVersion = "26.05";
  }
`

const EVERYTHING: Settings = {
  devices: ['10de:1b80'],
  IOMMUType: 'amd',
  users: ['alice'],
  sharedMemoryFiles: [{ name: 'looking-glass' }],
  hugepages: { pageSize: '1G', numPages: 8 },
  deviceACL: ['/dev/kvmfr0']
}

describe('a separate boot entry', () => {
  it('apply writes all options into one block of a new entry, and only the import elsewhere', () => {
    expect(applied(GIVEN, EVERYTHING, 'vfio')).toBe(SEPARATE)
  })

  it('later runs without --specialisation change the existing entry', () => {
    const after = applied(SEPARATE, { ignoreMSRs: true, users: ['bob'], deviceACL: ['/dev/sda'] })
    expect(after).toBe(
      SEPARATE.replace('[ "alice" ];', '[ "alice" "bob" ];\n      ignoreMSRs = true;').replace(
        '[ "/dev/kvmfr0" ]',
        '[ "/dev/kvmfr0" "/dev/sda" ]'
      )
    )
  })

  it('apply writes a new entry with the indentation and line endings of the file', () => {
    const given =
      '{ ... }:\r\n{\r\n\tconfig = {\r\n\t\tnetworking.hostName = "pc";\r\n\t};\r\n}\r\n'
    expect(applied(given, CARD, 'my-vm')).toBe(
      [
        '{ ... }:',
        '{',
        '\timports = [ ./vfio ];',
        '',
        '\tconfig = {',
        '\t\tnetworking.hostName = "pc";',
        '',
        '\t\tspecialisation.my-vm.configuration = {',
        '\t\t\tvirtualisation.vfio = {',
        '\t\t\t\tenable = true;',
        '\t\t\t\tdevices = [ "10de:1b80" ];',
        '\t\t\t};',
        '\t\t};',
        '\t};',
        '}',
        ''
      ].join('\r\n')
    )
  })

  it('apply accepts a name that needs quotes in Nix', () => {
    expect(applied(GIVEN, CARD, '2nd.card')).toContain(
      '\n  specialisation."2nd.card".configuration = {\n'
    )
  })
})

describe('an existing entry', () => {
  it.each([
    [
      'nested',
      nix`
        { ... }:
        {
          imports = [ ./vfio ];
          specialisation = {
            games = {
              inheritParentConfig = true;
              configuration = {
                boot.kernelParams = [ "mitigations=off" ];
              };
            };
          };
        }
      `,
      nix`
        { ... }:
        {
          imports = [ ./vfio ];
          specialisation = {
            games = {
              inheritParentConfig = true;
              configuration = {
                boot.kernelParams = [ "mitigations=off" ];

                virtualisation.vfio = {
                  enable = true;
                  devices = [ "10de:1b80" ];
                };
              };
            };
          };
        }
      `
    ],
    [
      'dotted',
      nix`
        { ... }:
        {
          imports = [ ./vfio ];
          specialisation.games.configuration.boot.kernelParams = [ "mitigations=off" ];
          time.timeZone = "UTC";
        }
      `,
      nix`
        { ... }:
        {
          imports = [ ./vfio ];
          specialisation.games.configuration.boot.kernelParams = [ "mitigations=off" ];
          specialisation.games.configuration.virtualisation.vfio = {
            enable = true;
            devices = [ "10de:1b80" ];
          };
          time.timeZone = "UTC";
        }
      `
    ],
    [
      'merged',
      nix`
        { lib, ... }:
        {
          imports = [ ./vfio ];
          specialisation.games.configuration = lib.mkMerge [
            (lib.mkIf true { a = 1; })
            {
              b = 2;
            }
          ];
        }
      `,
      nix`
        { lib, ... }:
        {
          imports = [ ./vfio ];
          specialisation.games.configuration = lib.mkMerge [
            (lib.mkIf true { a = 1; })
            {
              b = 2;

              virtualisation.vfio = {
                enable = true;
                devices = [ "10de:1b80" ];
              };
            }
          ];
        }
      `
    ]
  ])('apply adds options to an existing entry: %s', (_, before, after) => {
    expect(applied(before, CARD, 'games')).toBe(after)
  })

  const NEW = 'choose a new name for the boot entry'
  it.each([
    [
      'specialisation.vm = { inheritParentConfig = false; configuration.a = 1; };',
      `NO_TARGET 3: specialisation.vm does not inherit this configuration, so it does not have the modules of vfio-patch; ${NEW}`
    ],
    [
      'specialisation.vm.toplevel = other;',
      `NO_TARGET 3: specialisation.vm is a system that was built elsewhere, so it ignores options; ${NEW}`
    ],
    [
      'specialisation.vm.configuration = lib.mkIf config.a { b = 1; };',
      `NO_TARGET 3: specialisation.vm applies only if config.a; ${NEW}, or add the options there yourself`
    ],
    [
      'specialisation.vm = lib.mkIf config.a { configuration.b = 1; };',
      `NO_TARGET 3: specialisation.vm applies only if config.a; ${NEW}, or add the options there yourself`
    ],
    [
      'specialisation.vm = { pkgs, ... }: { configuration.b = 1; };',
      'NO_TARGET 3: specialisation.vm is a function that cannot be edited; write it as specialisation.vm.configuration = { … }, or choose a new name for the boot entry'
    ],
    [
      'specialisation.vm.configuration = ./vm.nix;',
      `NO_TARGET 3: specialisation.vm is in another file, ./vm.nix; ${NEW}, or add the options in that file yourself`
    ],
    [
      'specialisation.vm = import ./vm.nix;',
      `NO_TARGET 3: specialisation.vm is in another file, import ./vm.nix; ${NEW}, or add the options in that file yourself`
    ],
    [
      'specialisation.vm.configuration = config.my.vm;',
      'NO_TARGET 3: specialisation.vm is config.my.vm, so nothing can be added to it here; write it as specialisation.vm.configuration = { … }, or choose a new name for the boot entry'
    ],
    [
      'specialisation = import ./all.nix;',
      'CALL 3: specialisation is not written as a set { … } here, so nothing can be added to it; define the options in another module and import that module'
    ],
    [
      'specialisation.${name}.configuration.a = 1;',
      'DYNAMIC_ATTRIBUTE 3: specialisation.${…}.configuration.a may define specialisation.vm.configuration, and Nix rejects a second definition; replace the expression with the name, pass this definition instead of the path, or define the option in another module'
    ]
  ])('apply refuses to add options to %s', (line, expected) => {
    expect(refusal(`{ lib, config, ... }:\n{\n  ${line}\n}\n`, CARD, 'vm')).toBe(expected)
  })
})

describe('the boot entry of a run', () => {
  const everywhere = nix`
    { ... }:
    {
      imports = [ ./vfio ];
      virtualisation.vfio.devices = [ "10de:1b80" ];
      specialisation.other.configuration.a = 1;
    }
  `
  const two = nix`
    { ... }:
    {
      imports = [ ./vfio ];
      specialisation.a.configuration.virtualisation.vfio.enable = true;
      specialisation.b.configuration = { ... }: { virtualisation.vfio.enable = true; };
    }
  `

  it('profilesOf finds the entries with options, including functions', () => {
    expect(profilesOf([{ doc: parseDocument(GIVEN) }])).toEqual({
      everywhere: false,
      specialisations: []
    })
    expect(profilesOf([{ doc: parseDocument(everywhere) }])).toEqual({
      everywhere: true,
      specialisations: []
    })
    expect(profilesOf([{ doc: parseDocument(two) }])).toEqual({
      everywhere: false,
      specialisations: ['a', 'b']
    })
  })

  it('apply needs the name of an entry if two have options', () => {
    expect(refusal(two, { ignoreMSRs: true })).toBe('SEVERAL_PROFILES')
    expect(applied(two, { ignoreMSRs: true }, 'a')).toContain(
      'specialisation.a.configuration.virtualisation.vfio.ignoreMSRs = true;'
    )
    expect(plan(two, {})).toMatchObject({ ok: true, value: { files: [] } })
  })

  it('apply changes the only entry with options by default', () => {
    const [, , , , b] = two.split('\n')
    const text = `{ ... }:\n{\n  imports = [ ./vfio ];\n${b}\n}\n`
    expect(applied(text, { ignoreMSRs: true })).toBe(
      text.replace('enable = true; }', 'enable = true; virtualisation.vfio.ignoreMSRs = true; }')
    )
  })

  it('apply adds a second entry', () => {
    const { specialisations } = profilesOf([
      { doc: parseDocument(applied(SEPARATE, CARD, 'other')) }
    ])
    expect(specialisations).toEqual(['vfio', 'other'])
  })

  it('apply refuses a new entry if every entry passes devices through', () => {
    expect(refusal(everywhere, CARD, 'vfio')).toBe('GIVEN_EVERYWHERE')
    expect(refusal(everywhere, {}, 'vfio')).toBe('GIVEN_EVERYWHERE')
  })

  it('apply refuses to create an entry without settings', () => {
    expect(refusal(GIVEN, {}, 'vfio')).toBe('NOTHING_CHOSEN')
    expect(refusal(SEPARATE, {}, 'other')).toBe('NOTHING_CHOSEN')
    expect(refusal(SEPARATE, {}, 'vfio')).toBe('not refused')
  })
})

describe('settings that every entry inherits', () => {
  const base = nix`
    { ... }:
    {
      imports = [ ./vfio ];

      virtualisation.vfio = {
        enable = true;
        IOMMUType = "intel";
        users = [ "alice" ];
      };
    }
  `

  it('apply does not repeat inherited options in an entry', () => {
    const settings: Settings = {
      ...CARD,
      IOMMUType: 'intel',
      sharedMemoryFiles: [{ name: 'scream' }]
    }
    expect(applied(base, settings, 'vfio')).toBe(
      base.replace(
        /\}\n$/,
        () => nix`

            specialisation.vfio.configuration = {
              virtualisation.vfio = {
                devices = [ "10de:1b80" ];
              };

              virtualisation.sharedMemoryFiles = {
                scream = { user = "alice"; group = "kvm"; mode = "0660"; };
              };
            };
          }
        `
      )
    )
  })

  it('apply refuses another value for an inherited option, unless it is a default', () => {
    expect(refusal(base, { ...CARD, IOMMUType: 'amd' }, 'vfio')).toBe(
      'CONFLICT 7: virtualisation.vfio.IOMMUType is set for every boot entry here, so a specialisation cannot give it another value; remove it here, or set it to what you want in every boot entry'
    )
    const off = base.replace('enable = true', 'enable = false')
    expect(refusal(off, CARD, 'vfio')).toMatch(/^CONFLICT 6: virtualisation\.vfio\.enable /)
    const weak = base.replace('"intel"', 'lib.mkDefault "intel"').replace('...', 'lib, ...')
    expect(applied(weak, { ...CARD, IOMMUType: 'amd' }, 'vfio')).toContain('IOMMUType = "amd";')
  })

  it('apply sets passthroughDMA to false if every entry has iommu=nopt', () => {
    const text = GIVEN.replace('"quiet"', '"iommu=nopt"')
    expect(applied(text, CARD, 'vfio')).toContain('\n      passthroughDMA = false;\n')
  })
})

describe('obsolete settings', () => {
  const old = nix`
    { ... }:
    {
      imports = [ ./vfio ];
      boot.kernelParams = [ "pci=nomsi" ];
      specialisation.vfio.configuration = {
        boot.kernelParams = [ "amd_iommu=pt" "vfio-pci.ids=10de:1b80" ];
      };
    }
  `

  it('apply replaces obsolete settings inside the entry and reports those outside', () => {
    const result = plan(old, { ignoreMSRs: true }, 'vfio')
    if (!result.ok) throw new Error(JSON.stringify(result.error))
    const { configuration, replaced, keptObsolete } = result.value
    expect(configuration.text).toBe(
      old.replace(
        '[ "amd_iommu=pt" "vfio-pci.ids=10de:1b80" ];\n',
        () => nix`
          [ "iommu=pt" ];

              virtualisation.vfio = {
                enable = true;
                ignoreMSRs = true;
                devices = [ "10de:1b80" ];
              };
        `
      )
    )
    expect(replaced?.map(it => `${it.line} ${it.code}`)).toEqual(['6 AMD_IOMMU_PT', '6 IDS_MOVED'])
    expect(keptObsolete?.map(it => `${it.line} ${it.code}`)).toEqual(['4 PCI_NOMSI'])
  })

  it('apply refuses IDs outside the entry that would stop the build', () => {
    const withIDs = old.replace('"pci=nomsi"', '"vfio-pci.ids=10de:10f0"')
    const result = plan(withIDs, { ignoreMSRs: true }, 'vfio')
    expect(result).toMatchObject({
      ok: false,
      error: { code: 'NIX', error: { code: 'CONFLICT', at: { line: 4, column: 25 } } }
    })
  })
})

describe('remove', () => {
  /** The configuration after apply, an edit, and remove. */
  function removed(text: string, specialisation: string, edit = (it: string) => it): string {
    const machine = makeMachine({ 'configuration.nix': text })
    machine.apply(EVERYTHING, 'configuration.nix', specialisation)
    machine.write('configuration.nix', edit(machine.read('configuration.nix')))
    const outcome = machine.remove()
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.error))
    expect(Object.keys(machine.files())).toEqual(['configuration.nix'])
    return machine.read('configuration.nix')
  }

  it('removes an entry that has no other options', () => {
    expect(removed(GIVEN, 'vfio')).toBe(GIVEN)
    const other = GIVEN.replace(
      '  boot',
      '  specialisation = {\n    a.configuration.b = 1;\n  };\n  boot'
    )
    expect(removed(other, 'vfio')).toBe(other)
  })

  it('keeps other options in an entry', () => {
    const mine = '    boot.kernelParams = [ "mine" ];\n'
    const after = removed(GIVEN, 'vfio', it =>
      it.replace('    virtualisation.vfio = {', block => `${mine}${block}`)
    )
    expect(after).toBe(
      GIVEN.replace(
        '  system',
        it => `  specialisation.vfio.configuration = {\n${mine}  };\n\n${it}`
      )
    )
  })

  it('keeps the text of an entry that was in the configuration before apply', () => {
    const there = GIVEN.replace(
      '  system',
      it => `  specialisation.games.configuration = {\n    a = 1;\n  };\n\n${it}`
    )
    expect(removed(there, 'games')).toBe(there)
    const empty = GIVEN.replace(
      '  system',
      it => `  specialisation.a.configuration = { };\n\n${it}`
    )
    expect(removed(empty, 'b')).toBe(empty)
  })

  it('removes the import after the folder of modules was deleted', () => {
    const machine = makeMachine({ 'configuration.nix': GIVEN })
    machine.apply(CARD, 'configuration.nix', 'vfio')
    machine.delete('vfio')
    expect(machine.remove().ok).toBe(true)
    expect(machine.read('configuration.nix')).toBe(GIVEN)
  })
})
