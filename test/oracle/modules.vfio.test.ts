import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { describeWithOracle } from './evalModules.ts'
import { machines, softdeps, untouched, withOneCard } from './machines.ts'
import { expectCleanShell } from './shell.ts'

describeWithOracle('virtualisation.vfio', oracle => {
  const { produces, adds, fails, refuses } = machines(oracle)
  const params = (...kernelParams: string[]) => ({ ...withOneCard, kernelParams })
  const more = (...kernelParams: string[]) => params(...withOneCard.kernelParams, ...kernelParams)
  const notAtBoot = {
    ...params('intel_iommu=on', 'iommu=pt'),
    initrdKernelModules: [],
    kernelModules: ['vfio', 'vfio_iommu_type1', 'vfio_pci'],
    extraModprobeConfig: ''
  }

  describe('the IOMMU', () => {
    adds('is turned on for Intel', 'virtualisation.vfio.IOMMUType = "intel";', withOneCard)
    adds(
      'is on by itself for AMD',
      'virtualisation.vfio.IOMMUType = "amd";',
      params('iommu=pt', 'vfio-pci.ids=10de:1b80')
    )
    adds("gets Intel's parameter, which AMD ignores, if the maker is unknown", '', withOneCard)
    adds(
      'can be made to guard the devices of the host too',
      'virtualisation.vfio.passthroughDMA = false;',
      params('intel_iommu=on', 'vfio-pci.ids=10de:1b80')
    )
    for (const param of ['amd_iommu=off', 'iommu=force,off', 'intel_iommu=on,off']) {
      adds(`warns of what turns it off: ${param}`, `boot.kernelParams = [ "${param}" ];`, {
        ...more(param),
        warnings: [
          `boot.kernelParams has ${param},
but no device can be passed to a guest without the IOMMU. Remove it.
`
        ]
      })
    }
    for (const param of ['intel_iommu=on,sm_on', 'intel_iommu=off,on', 'iommu=pt,force']) {
      adds(`takes ${param}`, `boot.kernelParams = [ "${param}" ];`, more(param))
    }
    for (const param of ['iommu.passthrough=0', 'iommu=nopt', 'iommu=force,nopt']) {
      adds(`warns of ${param} beside iommu=pt`, `boot.kernelParams = [ "${param}" ];`, {
        ...more(param),
        warnings: [
          `boot.kernelParams has both iommu=pt and ${param},
which contradict each other. Set virtualisation.vfio.passthroughDMA = false; to keep the
latter, or remove it.
`
        ]
      })
      adds(
        `takes ${param} without passthroughDMA`,
        `boot.kernelParams = [ "${param}" ]; virtualisation.vfio.passthroughDMA = false;`,
        params('intel_iommu=on', 'vfio-pci.ids=10de:1b80', param)
      )
    }
  })

  describe('devices by ID', () => {
    adds(
      'are in lower case and named once',
      'virtualisation.vfio.devices = [ "1002:AB28" "1002:ab28" "10DE:1B80" ];',
      params('intel_iommu=on', 'iommu=pt', 'vfio-pci.ids=1002:ab28,10de:1b80')
    )
    produces(
      'may have all the fields that vfio-pci knows',
      `virtualisation.vfio = {
        enable = true;
        devices = [ "1002:67df:1da2:e366" "10de:ffffffff:ffffffff:ffffffff:00030000:ffff00ff" ];
      };`,
      params(
        'intel_iommu=on',
        'iommu=pt',
        'vfio-pci.ids=1002:67df:1da2:e366,10de:ffffffff:ffffffff:ffffffff:00030000:ffff00ff'
      )
    )
    adds(
      'stay with the host until a guest starts',
      'virtualisation.vfio.bindAtBoot = false;',
      notAtBoot
    )
    produces(
      'are unknown before the first reboot: the rest is set up, and a warning says how to go on',
      'virtualisation.vfio.enable = true;',
      {
        ...params('intel_iommu=on', 'iommu=pt'),
        warnings: [
          `virtualisation.vfio is enabled but binds no device yet. After a reboot with the IOMMU
on, set virtualisation.vfio.devices or virtualisation.vfio.addresses.
`
        ]
      }
    )
    const twice = (...bindings: string[]) =>
      `The IDs for vfio-pci are set more than once, and only the last setting takes effect:
  ${bindings.join('\n  ')}
Move them all to virtualisation.vfio.devices.
`
    const card = 'virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; };'
    fails(
      'stop the rebuild if there are others in the kernel parameters',
      `${card} boot.kernelParams = [ "quiet" "vfio_pci.ids=1002:67df" ];`,
      [twice('vfio-pci.ids=10de:1b80', 'vfio_pci.ids=1002:67df')]
    )
    fails(
      'stop the rebuild if there are others in the options of the module',
      `${card} boot.extraModprobeConfig = "options  vfio-pci disable_vga=1 ids=8086:56a0";`,
      [twice('vfio-pci.ids=10de:1b80', 'options vfio-pci disable_vga=1 ids=8086:56a0')]
    )
    produces(
      'may all come from elsewhere',
      'virtualisation.vfio.enable = true; boot.kernelParams = [ "vfio-pci.ids=1002:67df" ];',
      params('intel_iommu=on', 'iommu=pt', 'vfio-pci.ids=1002:67df')
    )
    refuses(
      'are PCI IDs',
      'virtualisation.vfio = { enable = true; devices = [ "1-de:10f12" ]; };',
      "is not of type `PCI ID, such as 10de:1b80 (vendor:device[:subvendor[:subdevice[:class[:mask]]]])'"
    )
  })

  describe('the load order', () => {
    const withLine = (line: string) => `boot.extraModprobeConfig = "${line}";`
    produces(
      'is that of the drivers that are named',
      `virtualisation.vfio = {
        enable = true; devices = [ "10de:1b80" ]; competingDrivers = [ "amdgpu" "xhci_pci" ];
      };`,
      {
        ...withOneCard,
        extraModprobeConfig: 'softdep amdgpu pre: vfio-pci\nsoftdep xhci_pci pre: vfio-pci'
      }
    )
    produces(
      'is left alone if none is',
      'virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; competingDrivers = [ ]; };',
      { ...withOneCard, extraModprobeConfig: '' }
    )
    for (const line of [
      'softdep nvidia post: nvidia-uvm',
      'softdep snd-hda-intel pre: vfio vfio-pci',
      'softdep snd_usb_audio pre: snd-dummy'
    ])
      adds(`takes the line "${line}" of someone else`, withLine(line), {
        ...withOneCard,
        extraModprobeConfig: `${softdeps}\n${line}`
      })
    adds(
      'warns of a line that has no effect',
      withLine('  softdep  snd-hda-intel pre: snd-dummy'),
      {
        ...withOneCard,
        extraModprobeConfig: `${softdeps}\n  softdep  snd-hda-intel pre: snd-dummy`,
        warnings: [
          `modprobe uses only the first softdep line for a module, and that of virtualisation.vfio is
first. These lines have no effect:
  softdep snd-hda-intel pre: snd-dummy
Remove the driver from virtualisation.vfio.competingDrivers and add vfio-pci to the
\`pre:' of your line.
`
        ]
      }
    )
    adds(
      'does not while it writes no lines itself',
      `virtualisation.vfio.bindAtBoot = false; ${withLine('softdep amdgpu pre: snd-dummy')}`,
      { ...notAtBoot, extraModprobeConfig: 'softdep amdgpu pre: snd-dummy' }
    )
    const virqfd = `Linux 6.2 removed the kernel module vfio_virqfd. Remove it from boot.initrd.kernelModules,
where it makes the build fail, and from boot.kernelModules.
`
    adds('warns of vfio_virqfd in the initrd', 'boot.initrd.kernelModules = [ "vfio_virqfd" ];', {
      ...withOneCard,
      initrdKernelModules: [...withOneCard.initrdKernelModules, 'vfio_virqfd'],
      warnings: [virqfd]
    })
    adds(
      'warns of vfio_virqfd after it, from Linux 6.2 on',
      'boot.kernelModules = [ "vfio_virqfd" ];',
      { ...withOneCard, kernelModules: ['vfio_virqfd'], warnings: [virqfd] },
      'kernelVersion = "6.2";'
    )
    adds(
      'takes vfio_virqfd before 6.2, in a NixOS that keeps the order of lists',
      'boot.initrd.kernelModules = [ "vfio_virqfd" ];',
      {
        ...withOneCard,
        initrdKernelModules: ['vfio_pci', 'vfio', 'vfio_iommu_type1', 'vfio_virqfd']
      },
      'kernelVersion = "6.1.99"; sortsModules = false;'
    )
  })

  describe('devices by address', () => {
    const byAddress = `virtualisation.vfio = {
      enable = true;
      addresses = [ "0000:0A:00.0" { address = "0000:0a:00.1"; id = "10DE:10F0"; } ];
    };`
    const dir = '/sys/bus/pci/devices'
    const service = `echo vfio-pci > ${dir}/0000:0a:00.0/driver_override || echo "vfio: there is no device at 0000:0a:00.0" >&2
read -r vendor < ${dir}/0000:0a:00.1/vendor && read -r device < ${dir}/0000:0a:00.1/device && [ "$vendor:$device" = 0x10de:0x10f0 ] && echo vfio-pci > ${dir}/0000:0a:00.1/driver_override || echo "vfio: the device at 0000:0a:00.1 is not 10de:10f0 and is left alone" >&2`
    const rule = `${service.replaceAll('\n', '; \\\n  ')}; \\
  read -r modprobe < /proc/sys/kernel/modprobe; \\
  "$modprobe" --ignore-install vfio-pci $CMDLINE_OPTS`
    const scripted = {
      ...params('intel_iommu=on', 'iommu=pt'),
      extraModprobeConfig: `${softdeps}\ninstall vfio-pci ${rule}`
    }

    const systemd = {
      ...params('intel_iommu=on', 'iommu=pt'),
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
          script: service
        }
      }
    }
    produces('are reserved by a service in systemd stage 1', byAddress, systemd)
    produces('the same where there is no other', byAddress, systemd, 'stage1 = "only";')
    produces('by modprobe in scripted stage 1', byAddress, scripted, 'stage1 = "scripted";')
    produces('the same before there was another', byAddress, scripted, 'stage1 = "none";')
    adds(
      'go together with IDs',
      'virtualisation.vfio.addresses = [ "0000:0a:00.0" ];',
      {
        ...withOneCard,
        extraModprobeConfig: `${softdeps}
install vfio-pci echo vfio-pci > ${dir}/0000:0a:00.0/driver_override || echo "vfio: there is no device at 0000:0a:00.0" >&2; \\
  read -r modprobe < /proc/sys/kernel/modprobe; \\
  "$modprobe" --ignore-install vfio-pci $CMDLINE_OPTS`
      },
      'stage1 = "scripted";'
    )
    for (const stage1 of ['systemd', 'scripted'])
      produces(
        `stay with the host until a guest starts (${stage1} stage 1)`,
        `${byAddress} virtualisation.vfio.bindAtBoot = false;`,
        notAtBoot,
        `stage1 = "${stage1}";`
      )
    produces(
      'warn of a softdep line that makes modprobe pass over the rule',
      `${byAddress} boot.extraModprobeConfig = "softdep vfio-pci pre: vendor-reset";`,
      {
        ...scripted,
        extraModprobeConfig: `${scripted.extraModprobeConfig}\nsoftdep vfio-pci pre: vendor-reset`,
        warnings: [
          `A softdep line for vfio-pci in boot.extraModprobeConfig makes modprobe ignore the rule
that binds virtualisation.vfio.addresses. Remove the line, or set
boot.initrd.systemd.enable = true;.
`
        ]
      },
      'stage1 = "scripted";'
    )
    fails(
      'stop the rebuild if one is named twice',
      'virtualisation.vfio = { enable = true; addresses = [ "0000:0a:00.0" "0000:0A:00.0" ]; };',
      [
        'virtualisation.vfio.addresses has 0000:0a:00.0\nmore than once. Keep one entry for each address.\n'
      ]
    )
    produces(
      'warn if all devices with the ID are bound anyway',
      `virtualisation.vfio = {
        enable = true;
        devices = [ "10de:10f0:1043" ];
        addresses = [ { address = "0000:0a:00.1"; id = "10DE:10F0"; } "0000:0a:00.0" ];
        bindAtBoot = false;
      };`,
      {
        ...notAtBoot,
        warnings: [
          `virtualisation.vfio.devices has 10de:10f0, so every device with this ID is bound to
vfio-pci, not only the one at 0000:0a:00.1. Remove the ID from devices.
`
        ]
      }
    )
    refuses(
      'are whole addresses',
      'virtualisation.vfio = { enable = true; addresses = [ "01:00.0" ]; };',
      'PCI address, such as 0000:01:00.0'
    )

    describe.each([
      ['the service', service, ''],
      ['the rule for modprobe', rule.replaceAll('\\\n', ''), '--ignore-install vfio-pci\n']
    ])('%s, run by sh on a folder that looks like /sys', (_, command, stdout) => {
      const root = mkdtempSync(join(tmpdir(), 'vfio-sysfs-'))
      afterAll(() => rmSync(root, { recursive: true }))

      /** Runs the command where these devices exist, and tells who got a driver_override. */
      const run = (devices: Record<string, { vendor: string; device: string }>) => {
        const sys = mkdtempSync(join(root, 'run-'))
        for (const [address, { vendor, device }] of Object.entries(devices)) {
          mkdirSync(join(sys, address))
          writeFileSync(join(sys, address, 'vendor'), `${vendor}\n`)
          writeFileSync(join(sys, address, 'device'), `${device}\n`)
          writeFileSync(join(sys, address, 'driver_override'), '(null)\n')
        }
        writeFileSync(join(sys, 'modprobe'), '/bin/echo\n')
        const here = command.replaceAll(dir, sys).replace('/proc/sys/kernel', sys)
        const shell = spawnSync('sh', ['-e', '-c', here], { encoding: 'utf8' })
        const reserved = Object.keys(devices).filter(
          address => readFileSync(join(sys, address, 'driver_override'), 'utf8') === 'vfio-pci\n'
        )
        const complaints = shell.stderr.split('\n').filter(line => line.startsWith('vfio: '))
        return { status: shell.status, stdout: shell.stdout, complaints, reserved }
      }

      it('is clean shell', () => {
        // modprobe itself puts words in the place of $CMDLINE_OPTS.
        expectCleanShell(command.replace('$CMDLINE_OPTS', ''), 'sh')
      })
      it('reserves these devices and no equal one', () => {
        const devices = {
          '0000:0a:00.0': { vendor: '0x10de', device: '0x1b80' },
          '0000:0a:00.1': { vendor: '0x10de', device: '0x10f0' },
          '0000:0b:00.0': { vendor: '0x10de', device: '0x1b80' },
          '0000:0b:00.1': { vendor: '0x10de', device: '0x10f0' }
        }
        const reserved = ['0000:0a:00.0', '0000:0a:00.1']
        expect(run(devices)).toEqual({ status: 0, stdout, complaints: [], reserved })
      })
      it('leaves a stranger alone, and goes on if a device is missing', () => {
        const devices = { '0000:0a:00.1': { vendor: '0x8086', device: '0x10f0' } }
        const complaints = [
          'vfio: there is no device at 0000:0a:00.0',
          'vfio: the device at 0000:0a:00.1 is not 10de:10f0 and is left alone'
        ]
        expect(run(devices)).toEqual({ status: 0, stdout, complaints, reserved: [] })
      })
    })
  })

  describe("the firmware's framebuffer", () => {
    const off = 'virtualisation.vfio.disableEFIfb = true;'
    const sysfbOff = more('initcall_blacklist=sysfb_init')
    adds('is turned off for simpledrm', off, sysfbOff)
    adds('from Linux 5.15 on', off, sysfbOff, 'kernelVersion = "5.15";')
    adds('and for efifb before', off, more('video=efifb:off'), 'kernelVersion = "5.14.99";')

    const oldGuide = 'boot.kernelParams = [ "video=efifb:off" ];'
    adds('warns of the parameter of old guides', oldGuide, {
      ...more('video=efifb:off'),
      warnings: [
        `The kernel parameter video=efifb:off has no effect since Linux 5.15. Remove it.
If the guest's card stays black, set virtualisation.vfio.disableEFIfb = true; instead.
`
      ]
    })
    adds('but not of their time', oldGuide, more('video=efifb:off'), 'kernelVersion = "5.14.99";')

    const encrypted = `${off} boot.initrd.luks.devices.root.device = "/dev/sda2";`
    const dark = {
      ...sysfbOff,
      warnings: [
        `virtualisation.vfio.disableEFIfb leaves the screen dark until a graphics driver loads,
and an encrypted disk or pool may ask for its passphrase before that. Load the driver of
the host's card early, for example boot.initrd.kernelModules = [ "amdgpu" ]; (or "i915",
"xe"). vfio-patch check names the driver.
`
      ]
    }
    adds('warns of a passphrase that is typed in the dark', encrypted, dark)
    adds(
      'of that of a pool, too',
      `${off} boot.zfs.requestEncryptionCredentials = [ "rpool" ];`,
      dark
    )
    adds(
      'but not where a key file unlocks the disk',
      `${encrypted} boot.initrd.luks.devices.root.keyFile = "/key";`,
      sysfbOff
    )
    adds(
      'does not with a graphics driver in the initrd',
      `${encrypted} boot.initrd.kernelModules = [ "amdgpu" ];`,
      { ...sysfbOff, initrdKernelModules: ['amdgpu', ...withOneCard.initrdKernelModules] }
    )
  })

  describe('NVIDIA', () => {
    for (const driver of ['nvidia', 'nouveau'])
      fails(
        `stops the rebuild if the blacklist would hit a host that draws with ${driver}`,
        `virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; blacklistNvidia = true; };
         services.xserver.videoDrivers = [ "modesetting" "${driver}" ];`,
        [
          `virtualisation.vfio.blacklistNvidia would block the driver of the host's screen:
services.xserver.videoDrivers has ${driver}.
Remove one of the two. vfio-pci gets the guest's card without a blacklist, too.
`
        ]
      )
    const late = `virtualisation.vfio.bindAtBoot = false;
      boot.kernelParams = [ "nvidia-drm.fbdev=1" ]; hardware.nvidia.nvidiaPersistenced = true;`
    adds('warns of what keeps the driver on a card that a guest is to have later', late, {
      ...notAtBoot,
      kernelParams: ['intel_iommu=on', 'iommu=pt', 'nvidia-drm.fbdev=1'],
      warnings: [
        `boot.kernelParams has nvidia-drm.fbdev=1, which lets NVIDIA's driver draw the console, so
that a card can't be unbound later. Remove it, and set
hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;.
`,
        `hardware.nvidia.nvidiaPersistenced keeps NVIDIA cards open, so that none can be unbound
later. Turn it off, or stop nvidia-persistenced.service before the guest starts, in
virtualisation.vfio.guests.<name>.prepare.
`
      ]
    })
    adds(
      'does not where the last word is another',
      `virtualisation.vfio.bindAtBoot = false;
       boot.kernelParams = [ "nvidia-drm.fbdev=1" "nvidia-drm.fbdev=0" ];`,
      {
        ...notAtBoot,
        kernelParams: ['intel_iommu=on', 'iommu=pt', 'nvidia-drm.fbdev=1', 'nvidia-drm.fbdev=0']
      }
    )
    const drawsConsole = `hardware.nvidia.moduleParams.nvidia-drm.fbdev is on, which lets NVIDIA's driver draw the
console, so that a card can't be unbound later. Set
hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;.
`
    for (const value of ['1', 'true', '"1"', '"Y"']) {
      adds(
        `warns of the console that moduleParams turns on with ${value}`,
        `virtualisation.vfio.bindAtBoot = false;
         hardware.nvidia.moduleParams.nvidia-drm.fbdev = ${value};`,
        { ...notAtBoot, warnings: [drawsConsole] }
      )
    }
    adds(
      'warns of it under the other name of the module',
      `virtualisation.vfio.bindAtBoot = false;
       hardware.nvidia.moduleParams.nvidia_drm.fbdev = 1;`,
      { ...notAtBoot, warnings: [drawsConsole] }
    )
    for (const value of ['0', 'false', '"0"', 'null']) {
      adds(
        `does not where moduleParams says ${value}`,
        `virtualisation.vfio.bindAtBoot = false;
         hardware.nvidia.moduleParams.nvidia-drm.fbdev = ${value};`,
        notAtBoot
      )
    }
    adds(
      'does not where a kernel parameter overrides moduleParams',
      `virtualisation.vfio.bindAtBoot = false;
       boot.kernelParams = [ "nvidia_drm.fbdev=0" ];
       hardware.nvidia.moduleParams.nvidia-drm.fbdev = 1;`,
      { ...notAtBoot, kernelParams: ['intel_iommu=on', 'iommu=pt', 'nvidia_drm.fbdev=0'] }
    )
    adds(
      'does not of a card that is bound at boot',
      'hardware.nvidia.moduleParams.nvidia-drm.fbdev = 1;',
      withOneCard
    )
    adds(
      'knows nothing of moduleParams before 26.05',
      late,
      {
        ...notAtBoot,
        kernelParams: ['intel_iommu=on', 'iommu=pt', 'nvidia-drm.fbdev=1'],
        warnings: [
          `boot.kernelParams has nvidia-drm.fbdev=1, which lets NVIDIA's driver draw the console, so
that a card can't be unbound later. Add
boot.kernelParams = lib.mkAfter [ "nvidia-drm.fbdev=0" ];.
`,
          `hardware.nvidia.nvidiaPersistenced keeps NVIDIA cards open, so that none can be unbound
later. Turn it off, or stop nvidia-persistenced.service before the guest starts, in
virtualisation.vfio.guests.<name>.prepare.
`
        ]
      },
      'moduleParams = false;'
    )
    const onlyAddress = (address: string) => ({
      ...params('intel_iommu=on', 'iommu=pt'),
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
          script: `echo vfio-pci > /sys/bus/pci/devices/${address}/driver_override || echo "vfio: there is no device at ${address}" >&2`
        }
      }
    })
    for (const [busId, address] of [
      ['PCI:1:0:0', '0000:01:00.0'],
      ['PCI:10@0:0:0', '0000:0a:00.0']
    ] as const) {
      produces(
        `warns of PRIME that would draw with the guest's card (${busId})`,
        `virtualisation.vfio = { enable = true; addresses = [ "${address}" ]; };
         hardware.nvidia.prime.nvidiaBusId = "${busId}";`,
        {
          ...onlyAddress(address),
          warnings: [
            `hardware.nvidia.prime has ${busId}, which virtualisation.vfio.addresses binds to vfio-pci.
Remove this bus ID and the other prime options: the host can't use this card.
`
          ]
        }
      )
      produces(
        `does not where the host uses that card until a guest starts (${busId})`,
        `virtualisation.vfio = { enable = true; addresses = [ "${address}" ]; bindAtBoot = false; };
         hardware.nvidia.prime.nvidiaBusId = "${busId}";`,
        notAtBoot
      )
    }
    produces(
      'does not of another card of PRIME',
      `virtualisation.vfio = {
         enable = true; addresses = [ "0000:0a:00.0" ]; bindAtBoot = false;
       };
       hardware.nvidia.prime.nvidiaBusId = "PCI:1:0:0";`,
      notAtBoot
    )
    adds('is free for the host', 'services.xserver.videoDrivers = [ "nvidia" ];', withOneCard)
  })

  describe('the ACS override', () => {
    const apply = 'virtualisation.vfio.applyACSpatch = true;'
    const applied = more('pcie_acs_override=downstream,multifunction')
    adds('is for a kernel with the patch: zen', apply, applied, 'kernel.name = "linux-zen-6.18.9";')
    adds('another that calls itself zen', apply, applied, 'kernel.isZen = true;')
    adds('xanmod', apply, applied, 'kernel.modDirVersion = "6.18.9-xanmod1";')
    adds(
      'or one that the user patches',
      `${apply} boot.kernelPatches = [ { name = "add-ACS-overrides"; patch = null; } ];`,
      { ...applied, kernelPatches: ['add-ACS-overrides'] }
    )
    adds(
      'splits up what is named',
      `${apply} virtualisation.vfio.acsOverride = "downstream,id:8086:A110";`,
      more('pcie_acs_override=downstream,id:8086:A110'),
      'kernel.isZen = true;'
    )
    adds('warns on other kernels', apply, {
      ...applied,
      warnings: [
        `virtualisation.vfio.applyACSpatch has no effect on a kernel without the ACS override patch,
and linux-6.18.9 is not known to have it. Choose a kernel that does, for
example boot.kernelPackages = pkgs.linuxPackages_zen;, or turn the option off.
`
      ]
    })
    adds(
      'is built into the kernel where a patch is named',
      `${apply} virtualisation.vfio.acsPatch = /etc/nixos/acs.patch;`,
      { ...applied, kernelPatches: ['acs-override'] }
    )
    adds(
      'which is left alone while the override is off',
      'virtualisation.vfio.acsPatch = /etc/nixos/acs.patch;',
      withOneCard
    )
    refuses(
      'knows three words',
      'virtualisation.vfio = { enable = true; applyACSpatch = true; acsOverride = "all"; };',
      "is not of type `list of downstream, multifunction and id:VVVV:DDDD, joined by commas'"
    )
  })

  describe('people', () => {
    adds('may manage guests', 'virtualisation.vfio.users = [ "alice" "bob" ];', {
      ...withOneCard,
      groups: { libvirtd: ['alice', 'bob'] }
    })
    adds('may open the devices', 'virtualisation.vfio.deviceGroup = "kvm";', {
      ...withOneCard,
      udevRules: 'SUBSYSTEM=="vfio", OWNER="root", GROUP="kvm", MODE="0660"\n'
    })
    adds(
      'have the last word on libvirtd',
      'virtualisation.libvirtd = { enable = false; onShutdown = "suspend"; };',
      { ...withOneCard, libvirtd: untouched.libvirtd, services: {} }
    )
  })
})
