// Edits that users make between apply and remove. remove keeps these edits and removes vfio-patch's part, and the
// result evaluates.

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { shippedModules } from '../../src/configuration/modules.ts'
import { nix } from '../nix/support.ts'
import { describeWithOracle, evalConfigs, nixPath } from '../oracle/evalModules.ts'
import { expectNixParses } from '../support/nix.ts'
import { type Machine, makeMachine } from './support/machine.ts'

const GIVEN = nix`
  { config, lib, ... }:
  {
    imports = [
      ./hardware.nix
    ];

    networking.hostName = "pc"; # in the cellar

    virtualisation.docker.enable = true;
  }
`

const BLOCK = nix`
  virtualisation.vfio = {
    enable = true;
    IOMMUType = "amd";
    devices = [ "10de:1b80" "10de:10f0" ];
    users = [ "alice" ];
  };
`

/** The configuration after apply, with these texts replaced. */
function applied(machine: Machine): string {
  machine.apply({ devices: ['10de:1b80', '10de:10f0'], IOMMUType: 'amd', users: ['alice'] })
  return machine.read('configuration.nix')
}

interface Edit {
  what: string
  /** The edit; its argument is the configuration after apply. */
  edit: (machine: Machine, text: string) => void
  /** All remaining files except unchanged ones. */
  left: Record<string, string>
  /** The path of the configuration, if it has changed. */
  file?: string
  /** The other results of the plan. */
  result?: Partial<Record<'kept' | 'otherFiles', string[]>>
}

const write = (text: string) => (machine: Machine) => machine.write('configuration.nix', text)
const configuration = (text: string) => ({ 'configuration.nix': text })

const layout: Edit[] = [
  {
    what: 'no edit',
    edit: () => {},
    left: configuration(GIVEN)
  },
  {
    what: 'puts everything on few lines',
    edit: write(
      '{ config, lib, ... }: { imports = [ ./hardware.nix ./vfio ]; networking.hostName = "pc"; virtualisation = { vfio = { enable = true; devices = [ "10de:1b80" ]; }; docker.enable = true; }; }\n'
    ),
    left: configuration(
      '{ config, lib, ... }: { imports = [ ./hardware.nix ]; networking.hostName = "pc"; virtualisation = { docker.enable = true; }; }\n'
    )
  },
  {
    what: 'changes the indentation, with tabs, blank lines and comments',
    edit: write(
      '{ lib, config, ... }: {\n\timports = [ ./vfio ./hardware.nix ];\n\n\n\tnetworking.hostName = "pc";\n\t# the card\n\n\tvirtualisation.vfio =\n\t{\n\t\t# mine\n\t\tenable = true;\n\n\t\tusers = [ ];\n\t};\n\n\n\tvirtualisation.docker.enable = true;\n}'
    ),
    left: configuration(
      '{ lib, config, ... }: {\n\timports = [ ./hardware.nix ];\n\n\n\tnetworking.hostName = "pc";\n\t# the card\n\n\n\tvirtualisation.docker.enable = true;\n}'
    )
  },
  {
    what: 'saves it with CRLF line endings',
    edit: (machine, text) => machine.write('configuration.nix', text.replaceAll('\n', '\r\n')),
    left: configuration(GIVEN.replaceAll('\n', '\r\n'))
  },
  {
    what: 'moves the blocks to the top and the imports to the end',
    edit: write(nix`
      { ... }:
      {
        virtualisation.vfio.enable = true;
        virtualisation.docker.enable = true;
        networking.hostName = "pc";
        imports = [ ./hardware.nix ./vfio ];
      }
    `),
    left: configuration(nix`
      { ... }:
      {
        virtualisation.docker.enable = true;
        networking.hostName = "pc";
        imports = [ ./hardware.nix ];
      }
    `)
  },
  {
    what: 'writes the options one by one, some in quotes',
    edit: write(nix`
      {
        imports = [ ./vfio ];
        networking.hostName = "pc";
        virtualisation.vfio.enable = true;
        virtualisation.vfio.devices = [ "10de:1b80" ];
        virtualisation."vfio".users = [ "alice" ];
        virtualisation.docker.enable = true;
        virtualisation.sharedMemoryFiles.scream.user = "alice";
      }
    `),
    left: configuration(nix`
      {
        networking.hostName = "pc";
        virtualisation.docker.enable = true;
      }
    `)
  },
  {
    what: 'comments the block out',
    edit: (machine, text) =>
      machine.write(
        'configuration.nix',
        text.replace(/^ {2}virtualisation\.vfio[^}]*\};\n/m, it =>
          it.replace(/^/gm, '# ').slice(0, -2)
        )
      ),
    left: configuration(
      GIVEN.replace(
        'docker.enable = true;\n',
        nix`
          docker.enable = true;

          #   virtualisation.vfio = {
          #     enable = true;
          #     IOMMUType = "amd";
          #     devices = [ "10de:1b80" "10de:10f0" ];
          #     users = [ "alice" ];
          #   };
        `
      )
    )
  },
  {
    what: 'comments the import out',
    edit: (machine, text) =>
      machine.write('configuration.nix', text.replace('    ./vfio', '    # ./vfio')),
    left: configuration(GIVEN.replace('hardware.nix\n', 'hardware.nix\n    # ./vfio\n'))
  },
  {
    what: 'adds to the lists, with comments',
    edit: (machine, text) =>
      machine.write(
        'configuration.nix',
        text
          .replace('    ./vfio\n', '    ./vfio # the card\n    ./other.nix # by me\n')
          .replace('"10de:10f0"\n', '"10de:10f0"\n      "1912:0014" # USB\n')
      ),
    left: configuration(GIVEN.replace('hardware.nix\n', 'hardware.nix\n    ./other.nix # by me\n'))
  }
]

const structure: Edit[] = [
  {
    what: 'nests the block in virtualisation',
    edit: write(nix`
      {
        imports = [ ./hardware.nix ./vfio ];
        networking.hostName = "pc";
        virtualisation = {
          docker.enable = true;
          vfio = {
            enable = true;
          };
          libvirtd = {
            enable = true;
            deviceACL = [ "/dev/kvmfr0" ];
            clearEmulationCapabilities = false;
          };
        };
      }
    `),
    left: configuration(nix`
      {
        imports = [ ./hardware.nix ];
        networking.hostName = "pc";
        virtualisation = {
          docker.enable = true;
          libvirtd = {
            enable = true;
          };
        };
      }
    `)
  },
  {
    what: 'wraps everything in config',
    edit: write(nix`
      { lib, ... }:
      {
        imports = [ ./hardware.nix ./vfio ];
        options.theirs = lib.mkOption { default = 1; };
        config = {
          networking.hostName = "pc";
          virtualisation.vfio.enable = true;
          virtualisation.docker.enable = true;
        };
      }
    `),
    left: configuration(nix`
      { lib, ... }:
      {
        imports = [ ./hardware.nix ];
        options.theirs = lib.mkOption { default = 1; };
        config = {
          networking.hostName = "pc";
          virtualisation.docker.enable = true;
        };
      }
    `)
  },
  {
    what: 'adds conditions with mkIf, mkMerge, mkForce and if',
    edit: write(nix`
      { config, lib, ... }:
      let
        isDesktop = config.networking.hostName == "pc";
      in
      {
        imports = [ ./hardware.nix ] ++ [ ./vfio ];
        config = lib.mkMerge [
          {
            networking.hostName = "pc";
            virtualisation.docker.enable = true;
            virtualisation.vfio = lib.mkIf isDesktop { enable = lib.mkForce true; };
          }
          (lib.mkIf isDesktop {
            virtualisation.hugepages = { enable = true; numPages = 4; };
          })
          (if true then { virtualisation.kvmfr.enable = false; } else { })
        ];
      }
    `),
    left: configuration(nix`
      { config, lib, ... }:
      let
        isDesktop = config.networking.hostName == "pc";
      in
      {
        imports = [ ./hardware.nix ];
        config = lib.mkMerge [
          {
            networking.hostName = "pc";
            virtualisation.docker.enable = true;
          }
          (lib.mkIf isDesktop { })
          (if true then { } else { })
        ];
      }
    `)
  },
  {
    what: 'keeps the values in variables',
    edit: write(nix`
      let
        card = [ "10de:1b80" ];
        passthrough = { enable = true; devices = card; };
      in
      {
        imports = [ ./hardware.nix ./vfio ];
        networking.hostName = "pc";
        virtualisation = { vfio = passthrough; } // { docker.enable = true; };
      }
    `),
    left: configuration(nix`
      let
        card = [ "10de:1b80" ];
        passthrough = { enable = true; devices = card; };
      in
      {
        imports = [ ./hardware.nix ];
        networking.hostName = "pc";
        virtualisation = { } // { docker.enable = true; };
      }
    `)
  },
  {
    what: 'keeps the whole set in a variable',
    edit: write(nix`
      let
        virtualisation = {
          docker.enable = true;
          vfio.enable = true;
        };
        more = { virtualisation.vfio.users = [ "alice" ]; };
      in
      {
        imports = [ ./hardware.nix ./vfio more ];
        networking.hostName = "pc";
        inherit virtualisation;
      }
    `),
    left: configuration(nix`
      let
        virtualisation = {
          docker.enable = true;
        };
        more = { };
      in
      {
        imports = [ ./hardware.nix more ];
        networking.hostName = "pc";
        inherit virtualisation;
      }
    `)
  },
  {
    what: 'moves it into a nested module and into a specialisation',
    edit: write(nix`
      { lib, ... }:
      {
        imports = [
          ./hardware.nix
          ./vfio
          ({ config, ... }: {
            virtualisation.vfio.enable = config.virtualisation.docker.enable; # when both
            networking.hostName = "pc";
          })
        ];
        virtualisation.docker.enable = true;
        specialisation.host.configuration = { ... }: {
          virtualisation.vfio.enable = lib.mkForce false;
          networking.hostName = lib.mkForce "host";
        };
      }
    `),
    left: configuration(nix`
      { lib, ... }:
      {
        imports = [
          ./hardware.nix
          ({ config, ... }: {
            networking.hostName = "pc";
          })
        ];
        virtualisation.docker.enable = true;
        specialisation.host.configuration = { ... }: {
          networking.hostName = lib.mkForce "host";
        };
      }
    `)
  },
  {
    what: 'checks whether the option exists',
    edit: (machine, text) =>
      machine.write(
        'configuration.nix',
        text.replace('"pc"', 'if config.virtualisation.vfio.enable or false then "pc" else "pc"')
      ),
    left: configuration(
      GIVEN.replace('"pc"', 'if config.virtualisation.vfio.enable or false then "pc" else "pc"')
    )
  }
]

const files: Edit[] = [
  {
    what: 'moves everything into a separate file',
    edit: machine => {
      machine.write(
        'configuration.nix',
        GIVEN.replace('./hardware.nix', './hardware.nix ./gpu.nix')
      )
      machine.write(
        'gpu.nix',
        `{\n  imports = [ ./vfio ];\n\n  ${BLOCK.replaceAll('\n', '\n  ').trim()}\n}\n`
      )
    },
    left: {
      'configuration.nix': GIVEN.replace('./hardware.nix', './hardware.nix ./gpu.nix'),
      'gpu.nix': '{ }\n'
    }
  },
  {
    what: 'moves the block to hardware-configuration.nix',
    edit: machine => {
      machine.write(
        'configuration.nix',
        GIVEN.replace('    ./hardware.nix\n', '    ./hardware.nix\n    ./vfio\n')
      )
      machine.write(
        'hardware.nix',
        '{\n  virtualisation.vfio.enable = true;\n  mine.hardware = true;\n}\n'
      )
    },
    left: {
      'configuration.nix': GIVEN,
      'hardware.nix': '{\n  mine.hardware = true;\n}\n'
    }
  },
  {
    what: 'renames and moves the configuration',
    edit: (machine, text) => {
      machine.write(
        'hosts/pc.nix',
        text.replace('./hardware.nix', '../hardware.nix').replace('./vfio', '../vfio')
      )
      machine.delete('configuration.nix')
    },
    file: 'hosts/pc.nix',
    left: { 'hosts/pc.nix': GIVEN.replace('./hardware.nix', '../hardware.nix') }
  },
  {
    what: 'writes the import of the folder in other ways',
    edit: (machine, text) =>
      machine.write(
        'configuration.nix',
        text.replace('./vfio\n', '././vfio/default.nix\n    (./. + "/vfio")\n    (import ./vfio)\n')
      ),
    left: configuration(GIVEN)
  },
  {
    what: 'imports the modules one by one',
    edit: (machine, text) =>
      machine.write(
        'configuration.nix',
        text.replace('./vfio\n', './vfio/vfio.nix\n    ./vfio/virtualisation.nix\n')
      ),
    left: configuration(GIVEN)
  },
  {
    what: 'moves the folder of the modules',
    edit: (machine, text) => {
      for (const name of shippedModules('1.0.0').texts.keys()) {
        machine.rename(`vfio/${name}`, `modules/passthrough/${name}`)
      }
      machine.delete('vfio')
      machine.write('configuration.nix', text.replace('./vfio\n', './modules/passthrough\n'))
    },
    left: configuration(GIVEN)
  },
  {
    what: 'changes a module',
    edit: machine => machine.write('vfio/vfio.nix', `${machine.read('vfio/vfio.nix')}# mine\n`),
    left: { ...configuration(GIVEN), 'vfio/vfio.nix.edited': '' },
    result: { kept: ['vfio/vfio.nix.edited'] }
  },
  {
    what: 'deletes a module and its import',
    edit: machine => {
      machine.delete('vfio/libvirt.nix')
      machine.write(
        'vfio/default.nix',
        machine.read('vfio/default.nix').replace('    ./libvirt.nix\n', '')
      )
    },
    left: { ...configuration(GIVEN), 'vfio/default.nix.edited': '' },
    result: { kept: ['vfio/default.nix.edited'] }
  },
  {
    what: 'deletes the folder of the modules',
    edit: machine => machine.delete('vfio'),
    left: configuration(GIVEN)
  },
  {
    what: 'adds a file to the folder of the modules',
    edit: (machine, text) => {
      machine.write('vfio/mine.nix', '{ mine.hardware = true; }\n')
      machine.write('configuration.nix', text.replace('./vfio\n', './vfio\n    ./vfio/mine.nix\n'))
    },
    left: {
      'configuration.nix': GIVEN.replace('hardware.nix\n', 'hardware.nix\n    ./vfio/mine.nix\n'),
      'vfio/mine.nix': '{ mine.hardware = true; }\n'
    },
    result: { otherFiles: ['vfio/mine.nix'] }
  }
]

const UNTOUCHED = { 'hardware.nix': '{ }\n', 'other.nix': '{ }\n' }
const machines: { machine: Machine; file: string }[] = []

describe.each([
  ['edits of the layout', layout],
  ['edits of the structure', structure],
  ['edits of the files', files]
])("remove works after the user's %s", (_, edits) => {
  it.each(edits)('$what', ({ edit, left, file = 'configuration.nix', result = {} }) => {
    const machine = makeMachine({ ...UNTOUCHED, 'configuration.nix': GIVEN })
    const text = applied(machine)
    expect(text).toContain('virtualisation.vfio')
    edit(machine, text)
    const plan = machine.remove(file)
    if (!plan.ok) throw new Error(JSON.stringify(plan.error))

    const found = machine.files()
    for (const name of Object.keys(found)) if (name.endsWith('.edited')) found[name] = ''
    const hardware = left['hardware.nix'] ?? UNTOUCHED['hardware.nix']
    expect(found).toEqual({ ...UNTOUCHED, ...left, 'hardware.nix': hardware })
    for (const [name, it] of Object.entries(found)) if (name.endsWith('.nix')) expectNixParses(it)
    const paths = (names: string[] = []) => names.map(it => join(machine.folder, it))
    expect(plan.value.kept.map(it => it.as)).toEqual(paths(result.kept))
    expect(plan.value.otherFiles).toEqual(paths(result.otherFiles))

    const again = machine.remove(file)
    expect(again.ok && again.value.files).toEqual([])
    machines.push({ machine, file })
  })
})

describeWithOracle('the configuration', oracle => {
  const declarations = fileURLToPath(new URL('../oracle/nixosOptions.nix', import.meta.url))
  const others = nix`
    { lib, ... }: {
      options = {
        networking.hostName = lib.mkOption { type = lib.types.str; };
        virtualisation.docker.enable = lib.mkEnableOption "docker";
        mine.hardware = lib.mkEnableOption "it";
        specialisation = lib.mkOption { default = { }; type = lib.types.attrsOf lib.types.anything; };
      };
    }
  `
  const evaluated = (all: string[]) =>
    evalConfigs(
      oracle,
      'config: [ config.networking.hostName config.virtualisation.docker.enable ]',
      all.map(it => ({ modules: [`import ${nixPath(declarations)} { }`, others, it] }))
    )

  it("evaluates to the user's values after remove", () => {
    expect(machines.length).toBe(layout.length + structure.length + files.length)
    const left = machines.map(({ machine, file }) => nixPath(join(machine.folder, file)))
    expect(evaluated(left)).toEqual(machines.map(() => ({ value: ['pc', true] })))
  })

  it('does not evaluate after remove if one of the options is left', () => {
    const option = (it: string) =>
      `{ imports = [ ${nixPath(join(machines[0]?.machine.folder ?? '', 'configuration.nix'))} ]; ${it} = { }; }`
    expect(
      evaluated([option('virtualisation.vfio'), option('virtualisation.sharedMemoryFiles')])
    ).toEqual([undefined, undefined])
  })
})
