import { attributeOf, findAll, type XmlElement } from '../tree.ts'

// What libvirt allows in any case, what it or our modules see to, and what is no device at all.
const KNOWN =
  /^\/dev\/(?:null|full|zero|random|urandom|ptmx|kvm|userfaultfd|tty|stdin|stdout|stderr|(?:shm|hugepages[^/]*|mqueue|fd|pts|vfio)(?:\/.*)?|kvmfr\d+)$/

/**
 * The device nodes that QEMU is told of by its command line alone, so that libvirt does not know that
 * it has to be let at them.
 */
export function deviceNodes(root: XmlElement): string[] {
  const values = findAll(root, 'qemu:commandline', 'qemu:arg').map(it => attributeOf(it, 'value'))
  const nodes = values.flatMap(it => it?.match(/(?<![\w./-])\/dev\/[^\s,"'\\;=]+/g) ?? [])
  return [...new Set(nodes)].filter(it => !KNOWN.test(it))
}
