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
    adds(
      'the IOMMU is turned on for Intel',
      'virtualisation.vfio.IOMMUType = "intel";',
      withOneCard
    )
    adds(
      'the IOMMU of AMD needs no parameter',
      'virtualisation.vfio.IOMMUType = "amd";',
      params('iommu=pt', 'vfio-pci.ids=10de:1b80')
    )
    adds(
      "the IOMMU gets Intel's parameter, which AMD ignores, if the vendor is unknown",
      '',
      withOneCard
    )
    adds(
      "without passthroughDMA, the IOMMU also covers the host's devices",
      'virtualisation.vfio.passthroughDMA = false;',
      params('intel_iommu=on', 'vfio-pci.ids=10de:1b80')
    )
    for (const param of ['amd_iommu=off', 'iommu=force,off', 'intel_iommu=on,off']) {
      adds(`warns about ${param}`, `boot.kernelParams = [ "${param}" ];`, {
        ...more(param),
        warnings: [
          `boot.kernelParams has ${param},
but without the IOMMU, no device can be passed through to a guest. Remove the parameter.
`
        ]
      })
    }
    for (const param of ['intel_iommu=on,sm_on', 'intel_iommu=off,on', 'iommu=pt,force']) {
      adds(`accepts ${param}`, `boot.kernelParams = [ "${param}" ];`, more(param))
    }
    for (const param of ['iommu.passthrough=0', 'iommu=nopt', 'iommu=force,nopt']) {
      adds(`warns about ${param} with iommu=pt`, `boot.kernelParams = [ "${param}" ];`, {
        ...more(param),
        warnings: [
          `boot.kernelParams has both iommu=pt and ${param},
which contradict each other. Remove ${param}, or
remove iommu=pt with virtualisation.vfio.passthroughDMA = false;.
`
        ]
      })
      adds(
        `accepts ${param} without passthroughDMA`,
        `boot.kernelParams = [ "${param}" ]; virtualisation.vfio.passthroughDMA = false;`,
        params('intel_iommu=on', 'vfio-pci.ids=10de:1b80', param)
      )
    }
  })

  describe('devices by ID', () => {
    adds(
      'IDs are lowercase and unique',
      'virtualisation.vfio.devices = [ "1002:AB28" "1002:ab28" "10DE:1B80" ];',
      params('intel_iommu=on', 'iommu=pt', 'vfio-pci.ids=1002:ab28,10de:1b80')
    )
    produces(
      'an ID can have all fields that vfio-pci accepts',
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
      'without bindAtBoot, the host uses devices by ID until a guest starts',
      'virtualisation.vfio.bindAtBoot = false;',
      notAtBoot
    )
    produces('no devices are a warning, not an error', 'virtualisation.vfio.enable = true;', {
      ...params('intel_iommu=on', 'iommu=pt'),
      warnings: [
        `virtualisation.vfio is enabled but binds no device yet. After a reboot with the IOMMU
on, set virtualisation.vfio.devices or virtualisation.vfio.addresses.
`
      ]
    })
    const twice = (...bindings: string[]) =>
      `The IDs for vfio-pci are set more than once, but only the last setting takes effect:
  ${bindings.join('\n  ')}
Move them all to virtualisation.vfio.devices.
`
    const card = 'virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; };'
    fails(
      'other IDs in kernel parameters are an error',
      `${card} boot.kernelParams = [ "quiet" "vfio_pci.ids=1002:67df" ];`,
      [twice('vfio-pci.ids=10de:1b80', 'vfio_pci.ids=1002:67df')]
    )
    fails(
      'other IDs in module options are an error',
      `${card} boot.extraModprobeConfig = "options  vfio-pci disable_vga=1 ids=8086:56a0";`,
      [twice('vfio-pci.ids=10de:1b80', 'options vfio-pci disable_vga=1 ids=8086:56a0')]
    )
    produces(
      'all IDs may be set in kernel parameters',
      'virtualisation.vfio.enable = true; boot.kernelParams = [ "vfio-pci.ids=1002:67df" ];',
      params('intel_iommu=on', 'iommu=pt', 'vfio-pci.ids=1002:67df')
    )
    refuses(
      'devices rejects a text that is not a PCI ID',
      'virtualisation.vfio = { enable = true; devices = [ "1-de:10f12" ]; };',
      "is not of type `PCI ID, such as 10de:1b80 (vendor:device[:subvendor[:subdevice[:class[:mask]]]])'"
    )
  })

  describe('the load order', () => {
    const withLine = (line: string) => `boot.extraModprobeConfig = "${line}";`
    produces(
      'vfio-pci is loaded before competingDrivers',
      `virtualisation.vfio = {
        enable = true; devices = [ "10de:1b80" ]; competingDrivers = [ "amdgpu" "xhci_pci" ];
      };`,
      {
        ...withOneCard,
        extraModprobeConfig: 'softdep amdgpu pre: vfio-pci\nsoftdep xhci_pci pre: vfio-pci'
      }
    )
    produces(
      'no load order is set without competingDrivers',
      'virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; competingDrivers = [ ]; };',
      { ...withOneCard, extraModprobeConfig: '' }
    )
    for (const line of [
      'softdep nvidia post: nvidia-uvm',
      'softdep snd-hda-intel pre: vfio vfio-pci',
      'softdep snd_usb_audio pre: snd-dummy'
    ])
      adds(`a softdep line of another module is accepted: ${line}`, withLine(line), {
        ...withOneCard,
        extraModprobeConfig: `${softdeps}\n${line}`
      })
    adds(
      'a softdep line without effect is a warning',
      withLine('  softdep  snd-hda-intel pre: snd-dummy'),
      {
        ...withOneCard,
        extraModprobeConfig: `${softdeps}\n  softdep  snd-hda-intel pre: snd-dummy`,
        warnings: [
          `modprobe uses only the first softdep line for a module, and virtualisation.vfio adds its
lines first. So these lines have no effect:
  softdep snd-hda-intel pre: snd-dummy
Remove their drivers from virtualisation.vfio.competingDrivers, and add vfio-pci to the
\`pre:' of each of these lines.
`
        ]
      }
    )
    adds(
      'a softdep line is not a warning if the modules set no softdep lines',
      `virtualisation.vfio.bindAtBoot = false; ${withLine('softdep amdgpu pre: snd-dummy')}`,
      { ...notAtBoot, extraModprobeConfig: 'softdep amdgpu pre: snd-dummy' }
    )
    const virqfd = `Linux 6.2 removed the kernel module vfio_virqfd. Remove it from boot.initrd.kernelModules,
where it makes the build fail, and from boot.kernelModules.
`
    adds(
      'vfio_virqfd in the initrd is a warning',
      'boot.initrd.kernelModules = [ "vfio_virqfd" ];',
      {
        ...withOneCard,
        initrdKernelModules: [...withOneCard.initrdKernelModules, 'vfio_virqfd'],
        warnings: [virqfd]
      }
    )
    adds(
      'vfio_virqfd in boot.kernelModules is a warning from Linux 6.2',
      'boot.kernelModules = [ "vfio_virqfd" ];',
      { ...withOneCard, kernelModules: ['vfio_virqfd'], warnings: [virqfd] },
      'kernelVersion = "6.2";'
    )
    adds(
      'vfio_virqfd is accepted before Linux 6.2, and its place in the list is kept',
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
    produces('devices by address are reserved by a service in systemd stage 1', byAddress, systemd)
    produces(
      'devices by address are reserved by a service in a release that has only systemd stage 1',
      byAddress,
      systemd,
      'stage1 = "only";'
    )
    produces(
      'devices by address are reserved by modprobe in scripted stage 1',
      byAddress,
      scripted,
      'stage1 = "scripted";'
    )
    produces(
      'devices by address are reserved by modprobe in a release that has only scripted stage 1',
      byAddress,
      scripted,
      'stage1 = "none";'
    )
    adds(
      'devices by address can be combined with devices by ID',
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
        `without bindAtBoot, the host uses devices by address until a guest starts (${stage1} stage 1)`,
        `${byAddress} virtualisation.vfio.bindAtBoot = false;`,
        notAtBoot,
        `stage1 = "${stage1}";`
      )
    produces(
      'a softdep line that makes modprobe ignore the addresses is a warning',
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
      'an address that is listed twice is an error',
      'virtualisation.vfio = { enable = true; addresses = [ "0000:0a:00.0" "0000:0A:00.0" ]; };',
      [
        'virtualisation.vfio.addresses has 0000:0a:00.0\nmore than once. Keep one entry for each address.\n'
      ]
    )
    produces(
      'an address whose ID is also in devices is a warning',
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
      'addresses rejects an incomplete address',
      'virtualisation.vfio = { enable = true; addresses = [ "01:00.0" ]; };',
      'PCI address, such as 0000:01:00.0'
    )

    describe.each([
      ['the service', service, ''],
      ['the rule for modprobe', rule.replaceAll('\\\n', ''), '--ignore-install vfio-pci\n']
    ])('%s, run by sh on a simulated /sys', (_, command, stdout) => {
      const root = mkdtempSync(join(tmpdir(), 'vfio-sysfs-'))
      afterAll(() => rmSync(root, { recursive: true }))

      /** Runs the command with these devices; returns the devices that got a driver_override. */
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

      it('passes shellcheck', () => {
        // modprobe replaces $CMDLINE_OPTS.
        expectCleanShell(command.replace('$CMDLINE_OPTS', ''), 'sh')
      })
      it('reserves these devices, but not others with the same ID', () => {
        const devices = {
          '0000:0a:00.0': { vendor: '0x10de', device: '0x1b80' },
          '0000:0a:00.1': { vendor: '0x10de', device: '0x10f0' },
          '0000:0b:00.0': { vendor: '0x10de', device: '0x1b80' },
          '0000:0b:00.1': { vendor: '0x10de', device: '0x10f0' }
        }
        const reserved = ['0000:0a:00.0', '0000:0a:00.1']
        expect(run(devices)).toEqual({ status: 0, stdout, complaints: [], reserved })
      })
      it('does not reserve an unexpected device, and continues if one is missing', () => {
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
    adds('disableEFIfb turns off simpledrm', off, sysfbOff)
    adds(
      'disableEFIfb turns off simpledrm from Linux 5.15',
      off,
      sysfbOff,
      'kernelVersion = "5.15";'
    )
    adds(
      'disableEFIfb turns off efifb before Linux 5.15',
      off,
      more('video=efifb:off'),
      'kernelVersion = "5.14.99";'
    )

    const oldGuide = 'boot.kernelParams = [ "video=efifb:off" ];'
    adds('video=efifb:off, from old guides, is a warning', oldGuide, {
      ...more('video=efifb:off'),
      warnings: [
        `The kernel parameter video=efifb:off has no effect since Linux 5.15. Remove it.
If the guest's screen stays black, set virtualisation.vfio.disableEFIfb = true; instead.
`
      ]
    })
    adds(
      'video=efifb:off is not a warning before Linux 5.15',
      oldGuide,
      more('video=efifb:off'),
      'kernelVersion = "5.14.99";'
    )

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
    adds('disableEFIfb warns about the passphrase prompt of an encrypted disk', encrypted, dark)
    adds(
      'disableEFIfb warns about the passphrase prompt of an encrypted pool',
      `${off} boot.zfs.requestEncryptionCredentials = [ "rpool" ];`,
      dark
    )
    adds(
      'disableEFIfb does not warn if a key file unlocks the disk',
      `${encrypted} boot.initrd.luks.devices.root.keyFile = "/key";`,
      sysfbOff
    )
    adds(
      'disableEFIfb does not warn if the initrd has a graphics driver',
      `${encrypted} boot.initrd.kernelModules = [ "amdgpu" ];`,
      { ...sysfbOff, initrdKernelModules: ['amdgpu', ...withOneCard.initrdKernelModules] }
    )
  })

  describe('NVIDIA', () => {
    for (const driver of ['nvidia', 'nouveau'])
      fails(
        `blacklistNvidia is an error if the host's screen uses ${driver}`,
        `virtualisation.vfio = { enable = true; devices = [ "10de:1b80" ]; blacklistNvidia = true; };
         services.xserver.videoDrivers = [ "modesetting" "${driver}" ];`,
        [
          `virtualisation.vfio.blacklistNvidia would block the driver of the host's screen:
services.xserver.videoDrivers has ${driver}.
Remove one of these settings. vfio-pci can bind the guest's card without the blacklist.
`
        ]
      )
    const late = `virtualisation.vfio.bindAtBoot = false;
      boot.kernelParams = [ "nvidia-drm.fbdev=1" ]; hardware.nvidia.nvidiaPersistenced = true;`
    adds('without bindAtBoot, settings that prevent unbinding NVIDIA cards are warnings', late, {
      ...notAtBoot,
      kernelParams: ['intel_iommu=on', 'iommu=pt', 'nvidia-drm.fbdev=1'],
      warnings: [
        `boot.kernelParams has nvidia-drm.fbdev=1, which lets NVIDIA's driver draw the console, so
its cards can't be unbound later. Remove it, and set
hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;.
`,
        `hardware.nvidia.nvidiaPersistenced keeps NVIDIA cards open, so they can't be unbound later.
Turn it off, or stop nvidia-persistenced.service in
virtualisation.vfio.guests.<name>.prepare.
`
      ]
    })
    adds(
      'nvidia-drm.fbdev=1 is not a warning if a later parameter turns it off',
      `virtualisation.vfio.bindAtBoot = false;
       boot.kernelParams = [ "nvidia-drm.fbdev=1" "nvidia-drm.fbdev=0" ];`,
      {
        ...notAtBoot,
        kernelParams: ['intel_iommu=on', 'iommu=pt', 'nvidia-drm.fbdev=1', 'nvidia-drm.fbdev=0']
      }
    )
    const drawsConsole = `hardware.nvidia.moduleParams.nvidia-drm.fbdev is on, which lets NVIDIA's driver draw the
console, so its cards can't be unbound later. Set
hardware.nvidia.moduleParams.nvidia-drm.fbdev = lib.mkForce 0;.
`
    for (const value of ['1', 'true', '"1"', '"Y"']) {
      adds(
        `moduleParams.nvidia-drm.fbdev = ${value} is a warning without bindAtBoot`,
        `virtualisation.vfio.bindAtBoot = false;
         hardware.nvidia.moduleParams.nvidia-drm.fbdev = ${value};`,
        { ...notAtBoot, warnings: [drawsConsole] }
      )
    }
    adds(
      'moduleParams.nvidia_drm.fbdev, with an underscore, is a warning without bindAtBoot',
      `virtualisation.vfio.bindAtBoot = false;
       hardware.nvidia.moduleParams.nvidia_drm.fbdev = 1;`,
      { ...notAtBoot, warnings: [drawsConsole] }
    )
    for (const value of ['0', 'false', '"0"', 'null']) {
      adds(
        `moduleParams.nvidia-drm.fbdev = ${value} is not a warning`,
        `virtualisation.vfio.bindAtBoot = false;
         hardware.nvidia.moduleParams.nvidia-drm.fbdev = ${value};`,
        notAtBoot
      )
    }
    adds(
      'moduleParams.nvidia-drm.fbdev is not a warning if a kernel parameter overrides it',
      `virtualisation.vfio.bindAtBoot = false;
       boot.kernelParams = [ "nvidia_drm.fbdev=0" ];
       hardware.nvidia.moduleParams.nvidia-drm.fbdev = 1;`,
      { ...notAtBoot, kernelParams: ['intel_iommu=on', 'iommu=pt', 'nvidia_drm.fbdev=0'] }
    )
    adds(
      'moduleParams.nvidia-drm.fbdev is not a warning if the card is bound at boot',
      'hardware.nvidia.moduleParams.nvidia-drm.fbdev = 1;',
      withOneCard
    )
    adds(
      'before NixOS 26.05, the warning about fbdev does not mention moduleParams',
      late,
      {
        ...notAtBoot,
        kernelParams: ['intel_iommu=on', 'iommu=pt', 'nvidia-drm.fbdev=1'],
        warnings: [
          `boot.kernelParams has nvidia-drm.fbdev=1, which lets NVIDIA's driver draw the console, so
its cards can't be unbound later. Add
boot.kernelParams = lib.mkAfter [ "nvidia-drm.fbdev=0" ];.
`,
          `hardware.nvidia.nvidiaPersistenced keeps NVIDIA cards open, so they can't be unbound later.
Turn it off, or stop nvidia-persistenced.service in
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
        `PRIME with the guest's card is a warning (${busId})`,
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
        `PRIME with the guest's card is not a warning without bindAtBoot (${busId})`,
        `virtualisation.vfio = { enable = true; addresses = [ "${address}" ]; bindAtBoot = false; };
         hardware.nvidia.prime.nvidiaBusId = "${busId}";`,
        notAtBoot
      )
    }
    produces(
      'PRIME with another card is not a warning',
      `virtualisation.vfio = {
         enable = true; addresses = [ "0000:0a:00.0" ]; bindAtBoot = false;
       };
       hardware.nvidia.prime.nvidiaBusId = "PCI:1:0:0";`,
      notAtBoot
    )
    adds(
      "the host may use NVIDIA's driver",
      'services.xserver.videoDrivers = [ "nvidia" ];',
      withOneCard
    )
  })

  describe('the ACS override', () => {
    const apply = 'virtualisation.vfio.applyACSpatch = true;'
    const applied = more('pcie_acs_override=downstream,multifunction')
    adds(
      'applyACSpatch accepts a kernel that is zen by name',
      apply,
      applied,
      'kernel.name = "linux-zen-6.18.9";'
    )
    adds(
      'applyACSpatch accepts a kernel that is zen by attribute',
      apply,
      applied,
      'kernel.isZen = true;'
    )
    adds(
      'applyACSpatch accepts the xanmod kernel',
      apply,
      applied,
      'kernel.modDirVersion = "6.18.9-xanmod1";'
    )
    adds(
      'applyACSpatch accepts a kernel that the user patches',
      `${apply} boot.kernelPatches = [ { name = "add-ACS-overrides"; patch = null; } ];`,
      { ...applied, kernelPatches: ['add-ACS-overrides'] }
    )
    adds(
      'acsOverride selects the groups to split',
      `${apply} virtualisation.vfio.acsOverride = "downstream,id:8086:A110";`,
      more('pcie_acs_override=downstream,id:8086:A110'),
      'kernel.isZen = true;'
    )
    adds('applyACSpatch warns about other kernels', apply, {
      ...applied,
      warnings: [
        `virtualisation.vfio.applyACSpatch has no effect on a kernel without the ACS override patch,
and linux-6.18.9 is not known to have the patch. Choose a kernel with the
patch, for example boot.kernelPackages = pkgs.linuxPackages_zen;, or turn the option off.
`
      ]
    })
    adds(
      'acsPatch is added to the kernel',
      `${apply} virtualisation.vfio.acsPatch = /etc/nixos/acs.patch;`,
      { ...applied, kernelPatches: ['acs-override'] }
    )
    adds(
      'acsPatch is not added without applyACSpatch',
      'virtualisation.vfio.acsPatch = /etc/nixos/acs.patch;',
      withOneCard
    )
    refuses(
      'acsOverride rejects an unknown word',
      'virtualisation.vfio = { enable = true; applyACSpatch = true; acsOverride = "all"; };',
      "is not of type `list of downstream, multifunction and id:VVVV:DDDD, joined by commas'"
    )
  })

  describe('users', () => {
    adds('users may manage guests', 'virtualisation.vfio.users = [ "alice" "bob" ];', {
      ...withOneCard,
      groups: { libvirtd: ['alice', 'bob'] }
    })
    adds('deviceGroup may open the devices', 'virtualisation.vfio.deviceGroup = "kvm";', {
      ...withOneCard,
      udevRules: 'SUBSYSTEM=="vfio", OWNER="root", GROUP="kvm", MODE="0660"\n'
    })
    adds(
      'the user can override the settings of libvirtd',
      'virtualisation.libvirtd = { enable = false; onShutdown = "suspend"; };',
      { ...withOneCard, libvirtd: untouched.libvirtd, services: {} }
    )
  })
})
