// Kernel parameters whose value is a list with commas, such as intel_iommu=on,sm_on. The kernel takes them
// apart in drivers/iommu/intel/iommu.c, drivers/iommu/amd/init.c and arch/x86/kernel/pci-dma.c.

/** The words of a parameter, or none if it has another name. `-` and `_` in the name are the same. */
export function wordsOf(param: string, name: string): readonly string[] {
  const [, own = '', value = ''] = /^([^=]*)=(.*)$/s.exec(param) ?? []
  return own.replaceAll('-', '_') === name ? value.replace(/^"(.*)"$/, '$1').split(',') : []
}

/** Of words that contradict each other the one that counts: the last, over all parameters of the name. */
export function lastWord(
  params: readonly string[],
  name: string,
  words: readonly string[]
): string | undefined {
  return params.flatMap(it => wordsOf(it, name)).findLast(it => words.includes(it))
}

/** What these parameters say of Intel's IOMMU, undefined for nothing. */
export function intelIommu(params: readonly string[]): 'on' | 'off' | undefined {
  return lastWord(params, 'intel_iommu', ['on', 'off']) as 'on' | 'off' | undefined
}
