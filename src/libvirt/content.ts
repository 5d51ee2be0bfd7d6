import { isBlank } from './characters.ts'
import { isTextChild } from './tables.ts'
import { elementsOf, textOf, type XmlElement } from './tree.ts'

/** What an element holds, its comments and layout left out. */
export type Content =
  | { kind: 'empty' }
  | { kind: 'text'; text: string }
  | { kind: 'elements'; elements: readonly XmlElement[] }
  /** Elements with text between them. */
  | { kind: 'mixed' }

/** Where an element stands: the name of its parent, and whether `<metadata>` is around it. */
export interface Surroundings {
  parent: string
  isOpaque: boolean
}

/**
 * What an element holds. Blank text is layout beside elements, and where it breaks a line in an
 * element that is not known to hold a text. In `<metadata>`, which libvirt keeps for others, it is
 * layout beside elements only.
 */
export function contentOf(element: XmlElement, { parent, isOpaque }: Surroundings): Content {
  const elements = elementsOf(element)
  const text = textOf(element)
  if (elements.length > 0) return isBlank(text) ? { kind: 'elements', elements } : { kind: 'mixed' }
  if (text === '') return { kind: 'empty' }
  const isLayout =
    isBlank(text) && text.includes('\n') && !isOpaque && !isTextChild(parent, element.name)
  return isLayout ? { kind: 'empty' } : { kind: 'text', text }
}

/** The surroundings of what stands in an element. */
export function inside(element: XmlElement, { isOpaque }: Surroundings): Surroundings {
  return { parent: element.name, isOpaque: isOpaque || element.name === 'metadata' }
}

export const ROOT: Surroundings = { parent: '', isOpaque: false }
