// Typical machines with a passed-through card, and the state that the modules produce for each.

import {
  guestService,
  inStore,
  qemuConf,
  type State,
  softdeps,
  untouched,
  withOneCard
} from './machines.ts'
import type { Release } from './releases.ts'

export interface ReleaseCase {
  name: string
  /** The user's module, without its braces. */
  config: string
  expected: (release: Release) => State
}

const BASE = ['intel_iommu=on', 'iommu=pt']

/** A machine of this release whose devices are bound at boot. */
function bound({ sorts }: Release, kernelParams: string[], more: Partial<State> = {}): State {
  const initrdKernelModules = initrd(sorts)
  return { ...withOneCard, initrdKernelModules, kernelParams, ...more }
}

/** A machine whose devices the host uses until a guest starts. */
function later({ sorts }: Release, kernelParams: string[], more: Partial<State> = {}): State {
  return {
    ...withOneCard,
    kernelParams,
    initrdKernelModules: [],
    kernelModules: initrd(sorts),
    extraModprobeConfig: '',
    ...more
  }
}

/** The VFIO modules and others in one list, in the order of the release. */
function initrd(sorts: boolean, ...others: string[]): string[] {
  const modules = ['vfio_pci', 'vfio', 'vfio_iommu_type1', ...others]
  return sorts ? modules.sort() : modules
}

/** The settings of stage 1 that reserve devices by address, each with an expected ID. */
function byAddress({ stage1 }: Release, devices: [string, string][], more = ''): Partial<State> {
  const lines = devices.map(([address, id]) => {
    const dir = `/sys/bus/pci/devices/${address}`
    return [
      `read -r vendor < ${dir}/vendor`,
      `read -r device < ${dir}/device`,
      `[ "$vendor:$device" = 0x${id.replace(':', ':0x')} ]`,
      `echo vfio-pci > ${dir}/driver_override || echo "vfio: the device at ${address} is not ${id} and is left alone" >&2`
    ].join(' && ')
  })
  if (stage1 === 'scripted') {
    const commands = [
      ...lines,
      'read -r modprobe < /proc/sys/kernel/modprobe',
      '"$modprobe" --ignore-install vfio-pci $CMDLINE_OPTS'
    ]
    return {
      extraModprobeConfig: `${softdeps}\ninstall vfio-pci ${commands.join('; \\\n  ')}${more}`
    }
  }
  return {
    extraModprobeConfig: softdeps + more,
    initrdServices: {
      'vfio-driver-override': {
        description: 'Reserve PCI devices for vfio-pci',
        wantedBy: ['sysinit.target'],
        before: [
          'systemd-modules-load.service',
          'systemd-udevd.service',
          'systemd-udev-trigger.service'
        ],
        unitConfig: { DefaultDependencies: false },
        serviceConfig: { Type: 'oneshot', RemainAfterExit: true },
        script: lines.join('\n')
      }
    }
  }
}

const NVIDIA_DRIVERS = [
  'nvidia',
  'nvidia_drm',
  'nvidia_modeset',
  'nvidia_uvm',
  'nvidiafb',
  'nouveau',
  'nova_core',
  'nova_drm'
]

const PATH = ['coreutils', 'kmod', 'systemd']
  .map(it => `/nix/store/00000000000000000000000000000000-${it}/bin`)
  .join(':')

/** The state with libvirt's hook for a guest without a definition. */
function hooked(guest: string, text: string): Partial<State> {
  const hook = `export PATH=${PATH}:$PATH\n\n${text}`
  return {
    services: guestService({ undefined: [guest] }),
    libvirtd: { ...withOneCard.libvirtd, hooks: { 'vfio-guests': hook } }
  }
}

const card = (settings: string) => `virtualisation.vfio = { enable = true; ${settings} };`

export const CASES: readonly ReleaseCase[] = [
  { name: 'the import alone', config: '', expected: () => untouched },
  {
    name: 'two different cards',
    config: `${card(`
      IOMMUType = "amd";
      devices = [ "10de:1b80" "10de:10f0" ];
      disableEFIfb = true;
      blacklistNvidia = true;
      ignoreMSRs = true;
      users = [ "alice" ];
    `)} boot.initrd.kernelModules = [ "amdgpu" ];`,
    expected: release =>
      bound(
        release,
        [
          'iommu=pt',
          'vfio-pci.ids=10de:1b80,10de:10f0',
          'initcall_blacklist=sysfb_init',
          'kvm.ignore_msrs=1',
          'kvm.report_ignored_msrs=0'
        ],
        {
          initrdKernelModules: initrd(release.sorts, 'amdgpu'),
          blacklistedKernelModules: NVIDIA_DRIVERS,
          groups: { libvirtd: ['alice'] }
        }
      )
  },
  {
    name: 'two identical cards',
    config: card(`addresses = [
      { address = "0000:0A:00.0"; id = "10DE:2684"; }
      { address = "0000:0a:00.1"; id = "10de:22ba"; }
    ];`),
    expected: release =>
      bound(
        release,
        BASE,
        byAddress(release, [
          ['0000:0a:00.0', '10de:2684'],
          ['0000:0a:00.1', '10de:22ba']
        ])
      )
  },
  {
    name: 'two models of one vendor',
    config: `${card('devices = [ "10de:1b80" "10de:10f0" ];')}
      services.xserver.videoDrivers = [ "nvidia" ];
      boot.extraModprobeConfig = "softdep nvidia post: nvidia-uvm";`,
    expected: release =>
      bound(release, [...BASE, 'vfio-pci.ids=10de:1b80,10de:10f0'], {
        extraModprobeConfig: `${softdeps}\nsoftdep nvidia post: nvidia-uvm`
      })
  },
  {
    name: 'two cards whose audio has the same ID',
    config: card(`
      IOMMUType = "amd";
      devices = [ "1002:73bf" ];
      addresses = [ { address = "0000:03:00.1"; id = "1002:ab28"; } ];
    `),
    expected: release =>
      bound(
        release,
        ['iommu=pt', 'vfio-pci.ids=1002:73bf'],
        byAddress(release, [['0000:03:00.1', '1002:ab28']])
      )
  },
  {
    name: 'integrated graphics and a card',
    config: `${card('IOMMUType = "intel"; devices = [ "1002:7550" "1002:ab40" ];')}
      boot.initrd.kernelModules = [ "i915" ]; boot.kernelModules = [ "kvm-intel" ];`,
    expected: release =>
      bound(release, [...BASE, 'vfio-pci.ids=1002:7550,1002:ab40'], {
        initrdKernelModules: initrd(release.sorts, 'i915'),
        kernelModules: ['kvm-intel']
      })
  },
  {
    name: 'the only card',
    config: `${card(`
      bindAtBoot = false;
      guests.win10 = {
        prepare = "systemctl stop display-manager.service";
        release = "systemctl start display-manager.service";
      };
    `)} boot.kernelParams = [ "nvidia-drm.fbdev=1" "nvidia-drm.fbdev=0" ];`,
    expected: release =>
      later(
        release,
        [...BASE, 'nvidia-drm.fbdev=1', 'nvidia-drm.fbdev=0'],
        hooked(
          'win10',
          `case "$1" in
'win10')
case "$2/$3" in
prepare/begin)
(
set -e
systemctl stop display-manager.service
)
;;
release/end)
(
systemctl start display-manager.service
) || true
;;
esac
;;
esac
`
        )
      )
  },
  {
    name: 'a card that host and guest use in turn',
    config: card(`
      bindAtBoot = false;
      devices = [ "1002:73bf" ];
      guests.win11.prepare = "echo 8 > /sys/bus/pci/devices/0000:03:00.0/resource0_resize";
    `),
    expected: release =>
      later(
        release,
        BASE,
        hooked(
          'win11',
          `case "$1" in
'win11')
case "$2/$3" in
prepare/begin)
(
set -e
echo 8 > /sys/bus/pci/devices/0000:03:00.0/resource0_resize
)
;;
esac
;;
esac
`
        )
      )
  },
  {
    name: 'a laptop with PRIME',
    config: `${card('bindAtBoot = false; addresses = [ "0000:01:00.0" ];')}
      services.xserver.videoDrivers = [ "nvidia" ];
      hardware.nvidia.prime.nvidiaBusId = "PCI:1:0:0";`,
    // With offloading, the driver uses the card only while a program requests it.
    expected: release => later(release, BASE)
  },
  {
    name: 'a laptop with PRIME whose card is bound at boot',
    config: `${card('addresses = [ { address = "0000:01:00.0"; id = "10de:1b80"; } ];')}
      services.xserver.videoDrivers = [ "nvidia" ];
      hardware.nvidia.prime.nvidiaBusId = "PCI:1:0:0";`,
    expected: release =>
      bound(release, BASE, {
        ...byAddress(release, [['0000:01:00.0', '10de:1b80']]),
        warnings: [
          `hardware.nvidia.prime has PCI:1:0:0, which virtualisation.vfio.addresses binds to vfio-pci.
Remove this bus ID and the other prime options: the host can't use this card.
`
        ]
      })
  },
  {
    name: 'a card bound later, on which the NVIDIA driver draws the console',
    config: `${card('bindAtBoot = false; devices = [ "10de:1b80" ];')}
      boot.kernelParams = [ "nvidia-drm.fbdev=1" ];`,
    expected: release =>
      later(release, [...BASE, 'nvidia-drm.fbdev=1'], {
        warnings: [
          `boot.kernelParams has nvidia-drm.fbdev=1, which lets NVIDIA's driver draw the console, so
its cards can't be unbound later. ${
            release.hasModuleParams
              ? `Remove it, and set
hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;.`
              : `Add
boot.kernelParams = lib.mkAfter [ "nvidia-drm.fbdev=0" ];.`
          }
`
        ]
      })
  },
  {
    name: 'a card that needs vendor-reset',
    config: `${card('addresses = [ { address = "0000:0b:00.0"; id = "1002:731f"; } ];')}
      boot.kernelModules = [ "vendor-reset" ];
      boot.extraModprobeConfig = "softdep vfio-pci pre: vendor-reset";`,
    expected: release =>
      bound(release, BASE, {
        ...byAddress(
          release,
          [['0000:0b:00.0', '1002:731f']],
          '\nsoftdep vfio-pci pre: vendor-reset'
        ),
        kernelModules: ['vendor-reset'],
        warnings:
          release.stage1 === 'systemd'
            ? []
            : [
                `A softdep line for vfio-pci in boot.extraModprobeConfig makes modprobe ignore the rule
that binds virtualisation.vfio.addresses. Remove the line, or set
boot.initrd.systemd.enable = true;.
`
              ]
      })
  },
  {
    name: 'Looking Glass and Scream',
    config: `${card('devices = [ "10de:1b80" ]; users = [ "alice" ];')}
      virtualisation.sharedMemoryFiles = { looking-glass.user = "alice"; scream = { }; };`,
    expected: release =>
      bound(release, [...BASE, 'vfio-pci.ids=10de:1b80'], {
        tmpfiles: [
          'f /dev/shm/looking-glass 0660 alice kvm -',
          'f /dev/shm/scream 0660 root kvm -'
        ],
        groups: { kvm: ['root', 'alice'], libvirtd: ['alice'] }
      })
  },
  {
    name: 'Looking Glass by kvmfr',
    config: `${card('devices = [ "10de:1b80" ]; users = [ "alice" ];')}
      virtualisation.kvmfr = {
        enable = true;
        devices = [ { resolution = { width = 3840; height = 2160; }; } ];
      };`,
    expected: release =>
      bound(release, [...BASE, 'vfio-pci.ids=10de:1b80'], {
        kernelModules: ['kvmfr'],
        modulePackages: ['kvmfr'],
        extraModprobeConfig: `${softdeps}\noptions kvmfr static_size_mb=128\n`,
        udevRules: 'SUBSYSTEM=="kvmfr", KERNEL=="kvmfr0", OWNER="root", GROUP="kvm", MODE="0660"',
        groups: { kvm: ['root', 'alice'], libvirtd: ['alice'] },
        libvirtd: { ...withOneCard.libvirtd, qemuConf: qemuConf('/dev/kvmfr0') }
      })
  },
  {
    name: 'an evdev keyboard, with QEMU not as root',
    config: `${card('devices = [ "10de:1b80" ];')}
      virtualisation.libvirtd = {
        qemu.runAsRoot = false;
        deviceACL = [ "/dev/input/by-id/usb-keyboard-event-kbd" ];
      };
      users.groups.input.members = [ "qemu-libvirtd" ];`,
    expected: release =>
      bound(release, [...BASE, 'vfio-pci.ids=10de:1b80'], {
        groups: { input: ['qemu-libvirtd'] },
        libvirtd: {
          ...withOneCard.libvirtd,
          qemuConf: qemuConf('/dev/input/by-id/usb-keyboard-event-kbd')
        }
      })
  },
  {
    name: 'huge pages',
    config: `${card('devices = [ "10de:1b80" ];')}
      virtualisation.hugepages = { enable = true; defaultPageSize = "1G"; numPages = 16; };`,
    expected: release =>
      bound(release, [
        ...BASE,
        'vfio-pci.ids=10de:1b80',
        'default_hugepagesz=1G',
        'hugepagesz=1G',
        'hugepages=16'
      ])
  },
  {
    name: 'a guest with hostCPUs',
    config: card('devices = [ "10de:1b80" ]; guests.win10.hostCPUs = "0-3,8-11";'),
    expected: release =>
      bound(
        release,
        [...BASE, 'vfio-pci.ids=10de:1b80'],
        hooked(
          'win10',
          `guest=$1
marks=/run/vfio-guests

limit_host() {
  for unit in user.slice system.slice init.scope; do
    systemctl set-property --runtime -- "$unit" "AllowedCPUs=$1"
  done
}

isolate() {
  # If the guest does not start, the host gets its CPUs back.
  trap 'if [ "$?" != 0 ]; then unite; fi' EXIT
  mkdir -p "$marks"
  echo "$1" > "$marks/$guest"
  limit_host "$1"
}

unite() {
  rm -f "$marks/$guest"
  read -r cpus < /sys/devices/system/cpu/online
  for mark in "$marks"/*; do
    if [ -e "$mark" ]; then
      read -r cpus < "$mark"
    fi
  done
  limit_host "$cpus"
}

case "$1" in
'win10')
case "$2/$3" in
prepare/begin)
(
set -e
isolate 0-3,8-11

)
;;
release/end)
(
unite

) || true
;;
esac
;;
esac
`
        )
      )
  },
  {
    name: 'a guest in the configuration',
    config: card(`
      devices = [ "10de:1b80" ];
      removeOldGuests = true;
      guests.win10 = {
        autostart = true;
        domain = {
          type = "kvm";
          uuid = "a4f3e9c6-5c0e-4a53-9d5f-3e0c6a1b7d21";
          memory = { unit = "GiB"; _text = 16; };
        };
      };
    `),
    expected: release =>
      bound(release, [...BASE, 'vfio-pci.ids=10de:1b80'], {
        services: guestService({
          defined: { win10: { xml: inStore('win10.xml'), autostart: true } },
          removeOldGuests: true
        })
      })
  },
  {
    name: 'the ACS override on a kernel without the patch',
    config: card('devices = [ "10de:1b80" ]; applyACSpatch = true;'),
    expected: release =>
      bound(
        release,
        [...BASE, 'vfio-pci.ids=10de:1b80', 'pcie_acs_override=downstream,multifunction'],
        {
          warnings: [
            `virtualisation.vfio.applyACSpatch has no effect on a kernel without the ACS override patch,
and linux-${release.kernel} is not known to have the patch. Choose a kernel with the
patch, for example boot.kernelPackages = pkgs.linuxPackages_zen;, or turn the option off.
`
          ]
        }
      )
  },
  {
    name: 'leftovers of old guides',
    config: `${card('devices = [ "10de:1b80" ];')}
      boot.kernelParams = [ "amd_iommu=on" "video=efifb:off" ];
      boot.initrd.kernelModules = [ "vfio_virqfd" ];`,
    expected: release =>
      bound(release, [...BASE, 'vfio-pci.ids=10de:1b80', 'amd_iommu=on', 'video=efifb:off'], {
        initrdKernelModules: initrd(release.sorts, 'vfio_virqfd'),
        warnings: [
          `Linux 6.2 removed the kernel module vfio_virqfd. Remove it from boot.initrd.kernelModules,
where it makes the build fail, and from boot.kernelModules.
`,
          `The kernel parameter video=efifb:off has no effect since Linux 5.15. Remove it.
If the guest's screen stays black, set virtualisation.vfio.disableEFIfb = true; instead.
`
        ]
      })
  },
  {
    name: 'a passphrase prompt on a dark screen',
    config: `${card('devices = [ "10de:1b80" ]; disableEFIfb = true;')}
      boot.initrd.luks.devices.root.device = "/dev/sda2";`,
    expected: release =>
      bound(release, [...BASE, 'vfio-pci.ids=10de:1b80', 'initcall_blacklist=sysfb_init'], {
        warnings: [
          `virtualisation.vfio.disableEFIfb leaves the screen dark until a graphics driver loads,
and an encrypted disk or pool may ask for its passphrase before that. Load the driver of
the host's card early, for example boot.initrd.kernelModules = [ "amdgpu" ]; (or "i915",
"xe"). vfio-patch check names the driver.
`
        ]
      })
  },
  {
    name: 'preDeviceCommands and ovmf of old guides',
    config: `${card('devices = [ "10de:1b80" ];')}
      boot.initrd.preDeviceCommands = "modprobe -i vfio-pci";
      virtualisation.libvirtd.qemu.ovmf.enable = true;`,
    // NixOS itself reports the errors; the modules add none.
    expected: release =>
      bound(release, [...BASE, 'vfio-pci.ids=10de:1b80'], {
        initrdCommands: 'modprobe -i vfio-pci',
        failures: [
          ...(release.stage1 === 'systemd'
            ? ["systemd stage 1 does not support 'boot.initrd.preDeviceCommands'."]
            : []),
          ...(release.name === '24.11'
            ? []
            : ["The 'virtualisation.libvirtd.qemu.ovmf' submodule has been removed."])
        ]
      })
  }
]
