// What the parameters of a kernel say.

import { wordsOf } from '../lints/paramLists.ts'

/** Whether a kernel was started with this parameter, whichever of its spellings was used. */
export function isGiven(params: readonly string[], param: string): boolean {
  const plain = (it: string) =>
    it.replace(/^[^=]*/, name => name.replaceAll('-', '_')).toLowerCase()
  return params.some(it => plain(it) === plain(param))
}

/**
 * Whether the kernel was started with this ID for vfio-pci, in lower case; one in the parameter may go on
 * with subsystem and class.
 */
export function isBoundByID(params: readonly string[], id: string): boolean {
  return params
    .flatMap(it => wordsOf(it, 'vfio_pci.ids'))
    .some(it => `${it.toLowerCase()}:`.startsWith(`${id}:`))
}
