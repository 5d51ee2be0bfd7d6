import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { describeWithOracle, parseNixFile } from './evalModules.ts'
import { machines, qemuConf, shippedModules, softdeps, untouched, withOneCard } from './machines.ts'

describeWithOracle('the shipped NixOS modules', oracle => {
  const { produces, adds, leaves, fails, refuses } = machines(oracle)

  const files = readdirSync(shippedModules, { recursive: true, encoding: 'utf8' })
  it.each(files.filter(file => file.endsWith('.nix')))('%s is valid Nix', file => {
    expect(parseNixFile(join(shippedModules, file))).toEqual({ ok: true, value: true })
  })

  describe('after the import alone', () => {
    const elsewhere = `
      boot.kernelParams = [ "quiet" ];
      boot.initrd.kernelModules = [ "amdgpu" ];
      users.groups.kvm = { };
      virtualisation.libvirtd.enable = true;
      virtualisation.libvirtd.qemu.verbatimConfig = "cgroup_device_acl = [ \\"/dev/kvm\\" ]";
    `
    produces('the import alone leaves an empty configuration empty', '', untouched)
    leaves('the import alone changes nothing in a configuration with settings', elsewhere)
    leaves(
      'the import alone changes nothing with scripted stage 1',
      elsewhere,
      'stage1 = "scripted";'
    )
    leaves(
      'the import alone changes nothing in a release without systemd stage 1',
      elsewhere,
      'stage1 = "none"; sortsModules = false;'
    )
    leaves(
      'the import alone changes nothing with an old kernel',
      elsewhere,
      'kernelVersion = "5.10.1"; kvmfr = "missing";'
    )
  })

  produces(
    'the modules set up a Ryzen with two cards: a GTX 1080 for the guest, Looking Glass, Scream',
    `
    virtualisation.vfio = {
      enable = true;
      IOMMUType = "amd";
      devices = [ "10de:1b80" "10de:10f0" ];
      disableEFIfb = true;
      blacklistNvidia = true;
      ignoreMSRs = true;
      users = [ "alice" ];
    };
    virtualisation.sharedMemoryFiles = {
      looking-glass.user = "alice";
      scream = { user = "alice"; group = "kvm"; mode = "0660"; };
    };
    virtualisation.libvirtd.deviceACL = [ "/dev/input/by-id/keyboard" "/dev/kvm" ];
    `,
    {
      ...withOneCard,
      kernelParams: [
        'iommu=pt',
        'vfio-pci.ids=10de:1b80,10de:10f0',
        'initcall_blacklist=sysfb_init',
        'kvm.ignore_msrs=1',
        'kvm.report_ignored_msrs=0'
      ],
      blacklistedKernelModules: [
        'nvidia',
        'nvidia_drm',
        'nvidia_modeset',
        'nvidia_uvm',
        'nvidiafb',
        'nouveau',
        'nova_core',
        'nova_drm'
      ],
      tmpfiles: ['f /dev/shm/looking-glass 0660 alice kvm -', 'f /dev/shm/scream 0660 alice kvm -'],
      groups: { kvm: ['root', 'alice'], libvirtd: ['alice'] },
      libvirtd: { ...withOneCard.libvirtd, qemuConf: qemuConf('/dev/input/by-id/keyboard') }
    }
  )

  describe('libvirt', () => {
    const libvirtd = (settings: string) =>
      `virtualisation.libvirtd = { enable = true; ${settings} };`
    const withConf = (text: string) => ({
      ...untouched,
      libvirtd: { ...untouched.libvirtd, enable: true, qemuConf: text }
    })
    produces(
      "deviceACL adds to libvirt's default devices, without duplicates",
      libvirtd('deviceACL = [ "/dev/kvmfr0" "/dev/null" "/dev/kvmfr0" ];'),
      withConf(qemuConf('/dev/kvmfr0'))
    )
    produces(
      'clearEmulationCapabilities = false keeps the capabilities of QEMU',
      libvirtd('clearEmulationCapabilities = false;'),
      withConf('namespaces = []\nclear_emulation_capabilities = 0\n')
    )
    produces(
      'qemu.conf has both settings',
      libvirtd('deviceACL = [ "/dev/kvmfr0" ]; clearEmulationCapabilities = false;'),
      withConf(`${qemuConf('/dev/kvmfr0')}clear_emulation_capabilities = 0\n`)
    )
    produces(
      'qemu.conf has no settings while libvirt is off',
      'virtualisation.libvirtd.deviceACL = [ "/dev/kvmfr0" ];',
      untouched
    )
    produces(
      "qemu.conf has the settings after the user's text, because libvirt reads the first of two namespaces",
      libvirtd(
        'deviceACL = [ "/dev/kvmfr0" ]; qemu.verbatimConfig = "namespaces = [ \\"mount\\" ]";'
      ),
      withConf(`namespaces = [ "mount" ]\n${qemuConf('/dev/kvmfr0')}`)
    )
    fails(
      'a key of qemu.conf that would be set twice is an error',
      libvirtd(`
        deviceACL = [ "/dev/kvmfr0" ];
        clearEmulationCapabilities = false;
        qemu.verbatimConfig = ''
          cgroup_device_acl=[ "/dev/kvm" ]
            clear_emulation_capabilities = 1
        '';
      `),
      [
        `virtualisation.libvirtd.qemu.verbatimConfig sets \`cgroup_device_acl' a second time, and
libvirt reads only the first. Remove it from your verbatimConfig and use
virtualisation.libvirtd.deviceACL instead.
`,
        `virtualisation.libvirtd.qemu.verbatimConfig sets \`clear_emulation_capabilities' a second time, and
libvirt reads only the first. Remove it from your verbatimConfig and use
virtualisation.libvirtd.clearEmulationCapabilities instead.
`
      ]
    )
    refuses(
      'deviceACL rejects a device outside of /dev',
      libvirtd('deviceACL = [ "kvmfr0" ];'),
      "is not of type `path of a device, below /dev/'"
    )
  })

  describe('shared memory files', () => {
    produces(
      'shared memory files belong to root and kvm',
      'virtualisation.sharedMemoryFiles.looking-glass = { };',
      {
        ...untouched,
        tmpfiles: ['f /dev/shm/looking-glass 0660 root kvm -'],
        groups: { kvm: [] }
      }
    )
    produces(
      'shared memory files have the configured owner, and another group adds no members to kvm',
      `virtualisation.sharedMemoryFiles.lg = {
        name = "looking-glass"; user = "alice"; group = "qemu-libvirtd"; mode = "600";
      };`,
      { ...untouched, tmpfiles: ['f /dev/shm/looking-glass 600 alice qemu-libvirtd -'] }
    )
    produces(
      'shared memory files give QEMU access through the group kvm if QEMU does not run as root',
      `virtualisation.sharedMemoryFiles.scream = { };
       virtualisation.libvirtd = { enable = true; qemu.runAsRoot = false; };`,
      {
        ...untouched,
        tmpfiles: ['f /dev/shm/scream 0660 root kvm -'],
        groups: { kvm: ['qemu-libvirtd'] },
        libvirtd: { ...untouched.libvirtd, enable: true }
      }
    )
    refuses(
      "the name of a shared memory file can't be a path",
      'virtualisation.sharedMemoryFiles."../x" = { };',
      "is not of type `file name of letters, digits, dots, dashes and underscores'"
    )
    refuses(
      "the mode of a shared memory file can't be symbolic",
      'virtualisation.sharedMemoryFiles.x.mode = "rw-rw----";',
      "is not of type `octal file mode, such as 0660'"
    )
  })

  describe('huge pages', () => {
    const hugepages = (settings: string) => `virtualisation.hugepages = { ${settings} };`
    const params = (...kernelParams: string[]) => ({ ...untouched, kernelParams })
    produces(
      'huge pages are reserved at boot',
      hugepages('enable = true; numPages = 8192;'),
      params('default_hugepagesz=2M', 'hugepagesz=2M', 'hugepages=8192')
    )
    produces(
      'defaultPageSize sets the size of huge pages, and the default size',
      hugepages('enable = true; numPages = 16; defaultPageSize = "1G";'),
      params('default_hugepagesz=1G', 'hugepagesz=1G', 'hugepages=16')
    )
    produces(
      'pageSize sets another size of huge pages',
      hugepages('enable = true; numPages = 16; pageSize = "1G";'),
      params('default_hugepagesz=2M', 'hugepagesz=1G', 'hugepages=16')
    )
    produces('huge pages are not reserved unless enabled', hugepages('numPages = 16;'), untouched)
    refuses(
      "huge pages can't have a size that x86 does not support",
      hugepages('enable = true; numPages = 1; pageSize = "1M";'),
      'is not of type `one of "2M", "1G"\''
    )
    refuses(
      'huge pages require numPages',
      hugepages('enable = true;'),
      "`virtualisation.hugepages.numPages'"
    )
  })

  describe('kvmfr', () => {
    const kvmfr = (devices: string) =>
      `virtualisation.kvmfr = { enable = true; devices = [ ${devices} ]; };`
    const screen = (width: number, height: number, more = '') =>
      `{ resolution = { width = ${width}; height = ${height}; ${more} }; }`
    const udevRule = (index: number) =>
      `SUBSYSTEM=="kvmfr", KERNEL=="kvmfr${index}", OWNER="root", GROUP="kvm", MODE="0660"`
    const loaded = { ...untouched, kernelModules: ['kvmfr'], modulePackages: ['kvmfr'] }

    adds(
      'kvmfr devices have numbers from 0, the same for udev and libvirt',
      `${kvmfr(`${screen(2560, 1440)} { size = 32; }`)} virtualisation.vfio.users = [ "alice" ];`,
      {
        ...withOneCard,
        kernelModules: ['kvmfr'],
        modulePackages: ['kvmfr'],
        extraModprobeConfig: `${softdeps}\noptions kvmfr static_size_mb=64,32\n`,
        udevRules: `${udevRule(0)}\n${udevRule(1)}`,
        groups: { kvm: ['root', 'alice'], libvirtd: ['alice'] },
        libvirtd: { ...withOneCard.libvirtd, qemuConf: qemuConf('/dev/kvmfr0', '/dev/kvmfr1') }
      }
    )
    produces(
      'kvmfr computes the size for 1080p, 1440p, 4K, and 4K with HDR',
      kvmfr(
        [
          screen(1920, 1080),
          screen(2560, 1440),
          screen(3840, 2160),
          screen(3840, 2160, 'hdr = true;')
        ].join(' ')
      ),
      {
        ...loaded,
        extraModprobeConfig: 'options kvmfr static_size_mb=32,64,128,256\n',
        udevRules: [0, 1, 2, 3].map(udevRule).join('\n'),
        groups: { kvm: [] }
      }
    )
    produces(
      'kvmfr warns about an owner that udev ignores',
      `${kvmfr('{ size = 64; permissions = { user = "alice"; group = "video"; mode = "0600"; }; }')}
       users.users.alice.isNormalUser = true;`,
      {
        ...loaded,
        extraModprobeConfig: 'options kvmfr static_size_mb=64\n',
        udevRules:
          'SUBSYSTEM=="kvmfr", KERNEL=="kvmfr0", OWNER="alice", GROUP="video", MODE="0600"',
        users: ['alice'],
        warnings: [
          `virtualisation.kvmfr.devices: the owner of /dev/kvmfr0, alice,
is not a system user, so udev of systemd 258 and 259 ignores its rule. Omit
\`permissions.user', and add alice to virtualisation.vfio.users, which
gives access through the group kvm.
`
        ]
      }
    )
    const unavailable = `virtualisation.kvmfr: there is no working kvmfr for Linux 6.18.9. Choose an older
kernel with boot.kernelPackages, or use virtualisation.sharedMemoryFiles.looking-glass
instead, which needs no module.
`
    const sizes = `virtualisation.kvmfr.devices: each device needs either \`size' or \`resolution', but not
both.
`
    const one = kvmfr('{ size = 64; }')
    fails(
      'kvmfr is an error with a kernel for which it is broken',
      one,
      [unavailable],
      'kvmfr = "broken";'
    )
    fails(
      'kvmfr is an error with a kernel that has no kvmfr',
      one,
      [unavailable],
      'kvmfr = "missing";'
    )
    fails('a kvmfr device requires a size or a resolution', kvmfr('{ }'), [sizes])
    fails(
      "a kvmfr device can't have both a size and a resolution",
      kvmfr('{ size = 64; resolution = { width = 8; height = 6; }; }'),
      [sizes]
    )
    fails('kvmfr requires a device', kvmfr(''), [
      `virtualisation.kvmfr is enabled without devices. Add one, for example
virtualisation.kvmfr.devices = [ { resolution = { width = 2560; height = 1440; }; } ];
`
    ])
    refuses(
      'the size of a kvmfr device must be a power of two',
      kvmfr('{ size = 100; }'),
      'power of two'
    )
  })
})
