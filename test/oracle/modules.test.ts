import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { describeWithOracle, parseNixFile } from './evalModules.ts'
import { machines, qemuConf, shippedModules, softdeps, untouched, withOneCard } from './machines.ts'

describeWithOracle('the shipped NixOS modules', oracle => {
  const { produces, adds, leaves, fails, refuses } = machines(oracle)

  const files = readdirSync(shippedModules, { recursive: true, encoding: 'utf8' })
  it.each(files.filter(file => file.endsWith('.nix')))('%s is Nix', file => {
    expect(parseNixFile(join(shippedModules, file))).toEqual({ ok: true, value: true })
  })

  describe('imported, and nothing else', () => {
    const elsewhere = `
      boot.kernelParams = [ "quiet" ];
      boot.initrd.kernelModules = [ "amdgpu" ];
      users.groups.kvm = { };
      virtualisation.libvirtd.enable = true;
      virtualisation.libvirtd.qemu.verbatimConfig = "cgroup_device_acl = [ \\"/dev/kvm\\" ]";
    `
    produces('leave an empty NixOS empty', '', untouched)
    leaves('change nothing in a NixOS that is in use', elsewhere)
    leaves('nor with scripted stage 1', elsewhere, 'stage1 = "scripted";')
    leaves('nor before systemd stage 1', elsewhere, 'stage1 = "none"; sortsModules = false;')
    leaves('nor with an old kernel', elsewhere, 'kernelVersion = "5.10.1"; kvmfr = "missing";')
  })

  produces(
    'set up the machine with two graphics cards: Ryzen, a GTX 1080 for the guest, Looking Glass, Scream',
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
      'keeps its own devices beside vfioModules, each once',
      libvirtd('deviceACL = [ "/dev/kvmfr0" "/dev/null" "/dev/kvmfr0" ];'),
      withConf(qemuConf('/dev/kvmfr0'))
    )
    produces(
      'leaves QEMU its privileges if told so',
      libvirtd('clearEmulationCapabilities = false;'),
      withConf('namespaces = []\nclear_emulation_capabilities = 0\n')
    )
    produces(
      'gets both',
      libvirtd('deviceACL = [ "/dev/kvmfr0" ]; clearEmulationCapabilities = false;'),
      withConf(`${qemuConf('/dev/kvmfr0')}clear_emulation_capabilities = 0\n`)
    )
    produces(
      'gets nothing while it is off',
      'virtualisation.libvirtd.deviceACL = [ "/dev/kvmfr0" ];',
      untouched
    )
    produces(
      "gets it after the user's own text, since it heeds the first of two namespaces",
      libvirtd(
        'deviceACL = [ "/dev/kvmfr0" ]; qemu.verbatimConfig = "namespaces = [ \\"mount\\" ]";'
      ),
      withConf(`namespaces = [ "mount" ]\n${qemuConf('/dev/kvmfr0')}`)
    )
    fails(
      'stops the rebuild if a key would stand there twice',
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
      'takes no device that is not below /dev',
      libvirtd('deviceACL = [ "kvmfr0" ];'),
      "is not of type `path of a device, below /dev/'"
    )
  })

  describe('shared memory files', () => {
    produces('belong to root and kvm', 'virtualisation.sharedMemoryFiles.looking-glass = { };', {
      ...untouched,
      tmpfiles: ['f /dev/shm/looking-glass 0660 root kvm -'],
      groups: { kvm: [] }
    })
    produces(
      'belong to whom they should, and then leave the group kvm alone',
      `virtualisation.sharedMemoryFiles.lg = {
        name = "looking-glass"; user = "alice"; group = "qemu-libvirtd"; mode = "600";
      };`,
      { ...untouched, tmpfiles: ['f /dev/shm/looking-glass 600 alice qemu-libvirtd -'] }
    )
    produces(
      'let QEMU in through the group when it does not run as root',
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
      'have a name that is no path',
      'virtualisation.sharedMemoryFiles."../x" = { };',
      "is not of type `file name of letters, digits, dots, dashes and underscores'"
    )
    refuses(
      'have a mode in digits',
      'virtualisation.sharedMemoryFiles.x.mode = "rw-rw----";',
      "is not of type `octal file mode, such as 0660'"
    )
  })

  describe('huge pages', () => {
    const hugepages = (settings: string) => `virtualisation.hugepages = { ${settings} };`
    const params = (...kernelParams: string[]) => ({ ...untouched, kernelParams })
    produces(
      'are set aside at boot',
      hugepages('enable = true; numPages = 8192;'),
      params('default_hugepagesz=2M', 'hugepagesz=2M', 'hugepages=8192')
    )
    produces(
      'are of the default size, whatever it is',
      hugepages('enable = true; numPages = 16; defaultPageSize = "1G";'),
      params('default_hugepagesz=1G', 'hugepagesz=1G', 'hugepages=16')
    )
    produces(
      'or of a size of their own',
      hugepages('enable = true; numPages = 16; pageSize = "1G";'),
      params('default_hugepagesz=2M', 'hugepagesz=1G', 'hugepages=16')
    )
    produces('wait to be enabled', hugepages('numPages = 16;'), untouched)
    refuses(
      'have a size that x86 knows',
      hugepages('enable = true; numPages = 1; pageSize = "1M";'),
      'is not of type `one of "2M", "1G"\''
    )
    refuses('have a number', hugepages('enable = true;'), "`virtualisation.hugepages.numPages'")
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
      'makes devices, and names the same one to udev and libvirt, counted from 0',
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
      'knows the size that a screen needs: 1080p, 1440p, 4K, 4K with HDR',
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
      'warns of an owner that udev would not take',
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
is not a system user, so udev of systemd 258 and 259 ignores the rule. Omit
\`permissions.user' and add the name to virtualisation.vfio.users, which gives access
through the group kvm.
`
        ]
      }
    )
    const unavailable = `virtualisation.kvmfr: there is no working kvmfr for Linux 6.18.9. Choose an older
kernel with boot.kernelPackages, or use virtualisation.sharedMemoryFiles.looking-glass
instead, which needs no module.
`
    const sizes = `virtualisation.kvmfr.devices: each device needs either \`size' or \`resolution', not
both.
`
    const one = kvmfr('{ size = 64; }')
    fails('needs a kernel for which it builds', one, [unavailable], 'kvmfr = "broken";')
    fails('needs a kernel that has it', one, [unavailable], 'kvmfr = "missing";')
    fails('needs a size', kvmfr('{ }'), [sizes])
    fails('needs only one', kvmfr('{ size = 64; resolution = { width = 8; height = 6; }; }'), [
      sizes
    ])
    fails('needs a device', kvmfr(''), [
      `virtualisation.kvmfr is enabled without devices. Add one, for example
virtualisation.kvmfr.devices = [ { resolution = { width = 2560; height = 1440; }; } ];
`
    ])
    refuses('takes powers of two', kvmfr('{ size = 100; }'), 'power of two')
  })
})
