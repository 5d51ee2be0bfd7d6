import type { Remark } from './mend/change.ts'
import { attributeOf, elementsOf, findAll, type XmlElement } from './tree.ts'

/** What a person should know of a domain that goes into a configuration: passwords, a running guest. */
export function remarksOn(root: XmlElement): Remark[] {
  const remarks: Remark[] = []
  const tell = (code: Remark['code'], path: string, what: string, { start }: XmlElement) =>
    remarks.push({ code, path, what, ...(start === undefined ? {} : { start }) })
  if (attributeOf(root, 'id') !== undefined) {
    const what =
      'the guest was running when this was written, so it holds what only that run needs; better: virsh dumpxml --inactive NAME'
    tell('RUNNING', '', what, root)
  }
  const open = 'everybody can read the Nix store, so a password must not get there'
  for (const { element, path } of elementsBelow(root)) {
    const passwd = attributeOf(element, 'passwd') ?? ''
    if (passwd === '' && element.name !== 'cookie') continue
    tell('PASSWORD', path, `there is a password here: ${open}`, element)
  }
  for (const argument of findAll(root, 'qemu:commandline', 'qemu:arg')) {
    const value = attributeOf(argument, 'value') ?? ''
    const isSecret = /(^|[,"])(password|passwd)("?\s*[:=])(?!off\b|on\b)/.test(value)
    const isObject = /^secret,.*\bdata=|"qom-type"\s*:\s*"secret".*"data"/.test(value)
    if (!isSecret && !isObject) continue
    tell('PASSWORD', 'qemu:commandline/qemu:arg', `there is a password here: ${open}`, argument)
  }
  return remarks
}

function elementsBelow(
  from: XmlElement,
  path: readonly string[] = []
): { element: XmlElement; path: string }[] {
  return elementsOf(from).flatMap(element => {
    const own = [...path, element.name]
    return [{ element, path: own.join('/') }, ...elementsBelow(element, own)]
  })
}
