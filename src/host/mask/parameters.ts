// Kernel parameters: those that say something about passing devices through, without what a person
// may have written into them.

import type { Placeholders } from './placeholders.ts'

/** Modules that rules or helpers look for, with underscores. */
const MODULES = new Set(
  `vfio vfio_pci vfio_pci_core vfio_iommu_type1 vfio_virqfd vfio_mdev mdev kvm kvm_amd kvm_intel kvmfr kvmgt
   irqbypass pci_stub xen_pciback amdgpu radeon nouveau nova_core nova_drm nvidia nvidia_drm nvidia_modeset
   nvidia_uvm nvidia_peermem nvidia_vgpu_vfio nvidiafb i2c_nvidia_gpu i915 xe snd_hda_intel snd_hda_codec_hdmi
   vendor_reset simpledrm efifb vesafb nvme ahci xhci_pci xhci_hcd ehci_pci`.split(/\s+/)
)

/** Whether this is the name of a module that anybody may know of. */
export function isKnownModule(name: string): boolean {
  return MODULES.has(name.replaceAll('-', '_'))
}

const NAMES = new Set(
  `intel_iommu amd_iommu amd_iommu_intr iommu iommu.passthrough iommu.strict iommu.forcedac pci pcie_aspm
   pcie_acs_override pcie_ports pcie_port_pm pci_pt_e820_access video initcall_blacklist nomodeset hugepages
   hugepagesz default_hugepagesz hugetlb_free_vmemmap module_blacklist modprobe.blacklist rd.driver.blacklist
   acpi acpi_osi acpi_enforce_resources acpi_backlight acpi_rev_override acpi_sleep isolcpus quiet`.split(
    /\s+/
  )
)

/** Options of modules that anybody may know of, and those that NVIDIA's driver has. */
const OPTIONS = new Set(
  `ids disable_idle_d3 disable_vga disable_denylist enable_sriov nointxmask ignore_msrs report_ignored_msrs nested
   avic npt ept mmu halt_poll_ns allow_unsafe_interrupts dma_entry_limit static_size_mb modeset fbdev hdmi_deepcolor
   atomic config runpm dc dpm aspm gpu_recovery ppfeaturemask si_support cik_support sg_display dcdebugmask bapm
   audio enable_guc enable_gvt enable_psr enable_fbc enable_dc fastboot force_probe max_vfs probe_vf
   guc_firmware_path power_save power_save_controller enable index model probe_mask dmic_detect default_ps_max_latency_us`.split(
    /\s+/
  )
)

function isTelling(name: string): boolean {
  const [module = ''] = name.split('.')
  return NAMES.has(name) || (name.includes('.') && isKnownModule(module))
}

/** Words in values, other than numbers and names of modules. */
const WORDS = new Set(
  `on off yes no y n pt nopt soft force strict lax auto ask none default native vendor video verbose igfx_off sm_on sm_off
   sp_off forcedac fullflush nofullflush nobypass merge nomerge pgtbl_v1 pgtbl_v2 noats nomsi noaer nocrs use_crs
   realloc assign-busses hpp big_root_window downstream multifunction id compat performance powersave
   powersupersave sysfb_init simpledrm_platform_driver_init efifb_init vesafb_init domain managed_irq nohz
   vesa efi uefi simplefb inteldrmfb amdgpudrmfb nouveaufb map ywrap Linux Windows s3_bios s3_mode deep`.split(
    /\s+/
  )
)

/** `16G`, `1920x1080`, `0-3`, `0xffff`, and connectors. */
const NUMBERS =
  /^(?:-?\d[\d.x/-]*[kKMGT]?[mMRieDd]*|0x[0-9a-f]+|(?:e?DP|HDMI(?:-[AB])?|DVI-[ADI]|VGA|LVDS|DSI|Virtual)-\d+)$/i

/** A part of an ID of a device, as after `vfio-pci.ids=`. */
const ID = /^(?:[0-9a-f]{4}|[0-9a-f]{6,8})$/i

/**
 * The parameters that are kept, with their values; words in these that nobody else would use become
 * placeholders. `drivers` are the drivers and modules that the recording names anyway.
 */
export function keptParameters(
  text: string,
  drivers: ReadonlySet<string>,
  names: Placeholders
): string[] {
  const isKnown = (word: string) =>
    WORDS.has(word) || isKnownModule(word) || drivers.has(word.replaceAll('-', '_'))
  const word = (it: string, areIDs: boolean) => {
    const isKept = it === '' || NUMBERS.test(it) || isKnown(it) || (areIDs && ID.test(it))
    return isKept ? it : names.of('value', it)
  }
  return text
    .split(/\s+/)
    .map(it => /^("?)([^=]*)(=?)(.*)$/s.exec(it) ?? [])
    .filter(([, , name = '']) => isTelling(name))
    .map(([, quote = '', name = '', equals = '', value = '']) => {
      const parts = value.split(/([,;:=@!"]+)/)
      const values = parts
        .map((part, i) => (i % 2 === 1 ? part : word(part, name.endsWith('.ids'))))
        .join('')
      return quote + withKnownOption(name, names) + equals + values
    })
}

function withKnownOption(name: string, names: Placeholders): string {
  const [module = '', ...rest] = name.split('.')
  const option = rest.join('.')
  const isKnown = NAMES.has(name) || OPTIONS.has(option) || /^NVreg_[A-Z]\w{2,40}$/.test(option)
  return isKnown || rest.length === 0 ? name : `${module}.${names.of('value', option)}`
}
