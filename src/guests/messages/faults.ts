// Why a domain could not be converted. The code that finds a fault adds its place.

import type { Fault } from '../problem.ts'
import { ATTRIBUTES, CHILDREN, TEXT } from '../value.ts'

/** A path in a domain, such as `['domain', 'devices', 'disk', '0']`. */
type DomainPath = readonly string[]

// ---- the file

export function notNix(): Fault {
  return { code: 'NO_DOMAIN', message: 'the file is not a Nix expression' }
}

export function noDomain(): Fault {
  return {
    code: 'NO_DOMAIN',
    message: 'the file does not define virtualisation.vfio.guests.NAME.domain',
    hint: 'to see what such a file looks like: vfio-patch domain FILE.xml'
  }
}

export function severalGuests(names: readonly string[]): Fault {
  return {
    code: 'AMBIGUOUS_DOMAIN',
    message: `the file defines several guests (${names.join(', ')})`,
    hint: 'define each guest in its own file'
  }
}

/** `path` is undefined outside the domain. */
export function notLiteral(path?: DomainPath): Fault {
  const subject = path ? formatDomainPath(path) : 'this'
  return { code: 'COMPUTED', message: `${subject} is not a literal value` }
}

// ---- values; `path` is undefined outside the domain

export function notASet(path?: DomainPath): Fault {
  return badValue(path, 'expected an attribute set')
}

export function notAList(path: DomainPath): Fault {
  return badValue(path, 'expected a list')
}

export function notAString(path: DomainPath): Fault {
  return badValue(path, 'expected a string or an integer')
}

/** An item of `_children`. */
export function notAChild(path: DomainPath): Fault {
  return badValue(path, 'expected a string, or an attribute set with exactly one child element')
}

export function listNotAllowed(path: DomainPath): Fault {
  return badValue(path, 'a list is not allowed here')
}

export function booleanNotAllowed(path: DomainPath): Fault {
  return badValue(
    path,
    'a boolean is not allowed here',
    'write the string that libvirt expects: "yes" or "no", "on" or "off"'
  )
}

export function floatNotAllowed(path: DomainPath): Fault {
  return badValue(path, 'a float is not allowed here', 'write it as a string')
}

export function characterNotAllowed(path: DomainPath): Fault {
  return badValue(path, 'the string has a character that XML does not allow')
}

// ---- names

export function badElementName(path: DomainPath, name: string): Fault {
  return badValue(path, `"${name}" is not a valid element name`)
}

export function badAttributeName(path: DomainPath, name: string): Fault {
  return badValue(path, `"${name}" is not a valid attribute name`)
}

export function unknownReservedName(path: DomainPath, name: string): Fault {
  return badValue(
    path,
    `unknown name "${name}"`,
    `names that begin with "_" are reserved: ${ATTRIBUTES}, ${TEXT} and ${CHILDREN}`
  )
}

export function attributeSetTwice(path: DomainPath, name: string): Fault {
  return badValue(path, `the attribute "${name}" is set twice, once in ${ATTRIBUTES}`)
}

export function contentMixed(path: DomainPath): Fault {
  return badValue(
    path,
    `${TEXT}, ${CHILDREN} and child elements can't be combined`,
    `keep one of them; ${CHILDREN} takes text and elements`
  )
}

function badValue(path: DomainPath | undefined, problem: string, hint?: string): Fault {
  const message = path ? `${formatDomainPath(path)}: ${problem}` : problem
  return { code: 'BAD_VALUE', message, hint }
}

/** Formats a path as `domain.devices.disk[0].target`, with indexes from 0 as in Nix. */
function formatDomainPath(path: DomainPath): string {
  return path
    .map((it, i) => (i > 0 && /^\d+$/.test(it) ? `[${it}]` : `${i > 0 ? '.' : ''}${it}`))
    .join('')
}

// ---- a conversion that loses something; `detail` is the message of the underlying fault

export function nixUnreadable(detail: string): Fault {
  return { code: 'NOT_LOSSLESS', message: `the converted Nix can't be read back: ${detail}` }
}

export function renderedXmlUnreadable(detail: string): Fault {
  const message = `the XML rendered from the converted Nix can't be read back: ${detail}`
  return { code: 'NOT_LOSSLESS', message }
}

export function domainChanged(): Fault {
  return { code: 'NOT_LOSSLESS', message: 'the converted Nix describes a different domain' }
}
