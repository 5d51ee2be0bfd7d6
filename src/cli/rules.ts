/** The flags that ask for an option, or for all that lie below it. */
const FLAGS: readonly [option: string, rule: string][] = [
  ['imports', 'modules'],
  ['virtualisation.vfio.enable', 'always'],
  ['virtualisation.vfio.IOMMUType', '--iommu'],
  ['virtualisation.vfio.devices', '--device'],
  ['virtualisation.vfio.addresses', '--address'],
  ['virtualisation.vfio.competingDrivers', '--gpu'],
  ['virtualisation.vfio.bindAtBoot', '--bind'],
  ['virtualisation.vfio.disableEFIfb', '--disable-efifb'],
  ['virtualisation.vfio.blacklistNvidia', '--blacklist-nvidia'],
  ['virtualisation.vfio.ignoreMSRs', '--ignore-msrs'],
  ['virtualisation.vfio.applyACSpatch', '--acs-patch'],
  ['virtualisation.vfio.users', '--user'],
  ['virtualisation.vfio.passthroughDMA', 'boot.kernelParams'],
  ['virtualisation.sharedMemoryFiles', '--shared-memory'],
  ['virtualisation.hugepages', '--hugepages'],
  ['virtualisation.libvirtd.deviceACL', '--device-acl'],
  ['virtualisation.libvirtd.clearEmulationCapabilities', '--clear-emulation-capabilities']
]

/**
 * What asked for an edit of this option, as a person knows it: a flag, else the command. `byCard` are
 * the options whose values come from `--gpu`.
 */
export function ruleOf(option: string, command: string, byCard: readonly string[] = []): string {
  if (command !== 'apply' && command !== 'diff') return command
  if (byCard.includes(option)) return '--gpu'
  const found = FLAGS.find(([it]) => option === it || option.startsWith(`${it}.`))
  return found?.[1] ?? command
}
