import { contentOf, inside, ROOT, type Surroundings } from './content.ts'
import type { XmlElement } from './tree.ts'

/**
 * A text that is the same for domains that say the same to libvirt: without comments and layout,
 * attributes by their names, siblings of one name in their order, of different names by the names.
 * In `<metadata>`, and where text stands between elements, all siblings stay in their order.
 */
export function canonicalOf(element: XmlElement, surroundings: Surroundings = ROOT): string {
  const attributes = element.attributes
    .map(({ name, value }) => [name, value] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const head = [JSON.stringify(element.name), JSON.stringify(attributes)]
  return `[${[...head, ...childrenOf(element, surroundings)].join(',')}]`
}

function childrenOf(element: XmlElement, surroundings: Surroundings): string[] {
  const content = contentOf(element, surroundings)
  const within = inside(element, surroundings)
  switch (content.kind) {
    case 'empty':
      return []
    case 'text':
      return [JSON.stringify(content.text)]
    case 'mixed':
      return withoutComments(element).map(it =>
        typeof it === 'string' ? JSON.stringify(it) : canonicalOf(it, within)
      )
    case 'elements': {
      const all = content.elements.map(it => ({ name: it.name, form: canonicalOf(it, within) }))
      if (!within.isOpaque) all.sort((a, b) => (a.name === b.name ? 0 : a.name < b.name ? -1 : 1))
      return all.map(it => it.form)
    }
  }
}

/** Texts and elements in their order; texts that only a comment parts are one. */
export function withoutComments(element: XmlElement): (string | XmlElement)[] {
  const parts: (string | XmlElement)[] = []
  for (const node of element.children) {
    const last = parts.at(-1)
    if (node.kind === 'element') parts.push(node)
    else if (node.kind === 'text') {
      if (typeof last === 'string') parts[parts.length - 1] = last + node.text
      else parts.push(node.text)
    }
  }
  return parts
}
