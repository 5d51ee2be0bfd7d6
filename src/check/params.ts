// What the parameters of a kernel say.

/** Whether a kernel was started with this parameter, whichever of its spellings was used. */
export function isGiven(params: readonly string[], param: string): boolean {
  const plain = (it: string) =>
    it.replace(/^[^=]*/, name => name.replaceAll('-', '_')).toLowerCase()
  return params.some(it => plain(it) === plain(param))
}

/** Whether the kernel was started with this ID for vfio-pci. */
export function isBoundByID(params: readonly string[], id: string): boolean {
  return params.some(it => /^vfio[-_]pci\.ids=/.test(it) && it.toLowerCase().includes(id))
}
