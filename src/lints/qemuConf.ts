// Lists in the text of libvirt's qemu.conf.

import { MASK } from './values.ts'

/** A list that a key of qemu.conf has. All offsets are those of the text. */
export interface ConfList {
  /** The offset of the key. */
  key: number
  /** The offset of the opening bracket. */
  open: number
  /** The offset after the closing bracket, or the end of the text if there is none. */
  end: number
  isClosed: boolean
  /** The strings in it, without quotation marks. Comments are left out. */
  items: readonly string[]
  /** Whether it consists of strings, commas, comments and blanks only, so that nothing of it is computed. */
  isPlain: boolean
}

const TOKEN = /#[^\n]*|\\?"([^"\n]*?)\\?"|'([^'\n]*)'|[\s,]+|\]|[\s\S]/y

/**
 * The first list that `name` has in a text of qemu.conf, of which libvirt takes the first; undefined where
 * there is none. A quotation mark may be spelled with a backslash, as in a Nix string on one line.
 */
export function listIn(text: string, name: string): ConfList | undefined {
  const found = new RegExp(`^[ \\t]*(${name})[ \\t]*=\\s*\\[`, 'm').exec(text)
  if (!found) return undefined
  const key = found.index + found[0].indexOf(name)
  const open = found.index + found[0].length - 1
  const items: string[] = []
  let isPlain = true
  TOKEN.lastIndex = open + 1
  for (let token = TOKEN.exec(text); token; token = TOKEN.exec(text)) {
    const [all, double, single] = token
    const end = token.index + all.length
    if (all === ']') return { key, open, end, isClosed: true, items, isPlain }
    const item = double ?? single
    if (item?.includes(MASK)) isPlain = false
    else if (item !== undefined) items.push(item)
    else if (!/^[#\s,]/.test(all)) isPlain = false
  }
  return { key, open, end: text.length, isClosed: false, items, isPlain }
}
