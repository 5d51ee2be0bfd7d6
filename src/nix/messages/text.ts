// Texts that can't be read, or are not Nix.

import type { Message } from '../errors.ts'

/** `cipher` is the program or format, such as `git-crypt`. */
export function encrypted(cipher: string): Message {
  return {
    code: 'ENCODING',
    message: `the file is encrypted (${cipher})`,
    hint: 'decrypt it first, or edit the file it was made from'
  }
}

export const notUtf8: Message = {
  code: 'ENCODING',
  message: 'this is not UTF-8 text',
  hint: 'convert it to UTF-8, for example with iconv'
}

export const byteOrderMark: Message = {
  code: 'ENCODING',
  message: 'the file begins with a byte order mark, which Nix rejects',
  hint: 'save it as UTF-8 without a byte order mark'
}

export const nulCharacter: Message = {
  code: 'ENCODING',
  message: 'the file contains a NUL character, so it is not a text file',
  hint: 'restore the file from a backup'
}

export const halfCharacter: Message = {
  code: 'ENCODING',
  message: 'this is half of a surrogate pair, which no file can contain',
  hint: 'use decode(bytes), or TextDecoder, to read the bytes of a file'
}

export const loneCarriageReturn: Message = {
  code: 'ENCODING',
  message: 'Nix reads this carriage return as a line ending, although no line feed follows it',
  hint: 'replace it with a line feed'
}

export const parserTimeout: Message = {
  code: 'SYNTAX',
  message: 'parsing this takes too long',
  hint: 'no configuration is this large: is it the right file?'
}

export const updateReadAsPath: Message = {
  code: 'SYNTAX',
  message: 'put spaces around "//": without them it can be read as a path',
  hint: 'write it as a // b'
}

export const colonForEquals: Message = {
  code: 'SYNTAX',
  message: 'unexpected ":"',
  hint: 'a definition uses "=":  name = value;'
}

/** `token` is the missing text, or one of the words `an expression` and `identifier`. */
export function missing(token: string): Message {
  const name = token === 'identifier' ? 'a name or a value' : token
  return { code: 'SYNTAX', message: `${/\w/.test(name) ? name : `"${name}"`} is missing here` }
}

/** `open` is a bracket, and `close` the bracket that would close it. */
export function neverClosed(open: string, close: string): Message {
  return {
    code: 'SYNTAX',
    message: `this "${open}" is never closed`,
    hint: `add a "${close}" further down`
  }
}

/** For a bracket that is closed, with a fault before its closing bracket. */
export function faultInside(open: string, close: string): Message {
  return {
    code: 'SYNTAX',
    message: `there is a syntax error between this "${open}" and its "${close}"`,
    hint: 'check the code in between, for example for an unfinished expression'
  }
}

/** `token` is empty where there is no text, such as at the end of the file. */
export function unexpected(token: string): Message {
  return {
    code: 'SYNTAX',
    message: token === '' ? 'this is not Nix' : `unexpected ${TOKENS.get(token) ?? `"${token}"`}`,
    hint: HINTS.get(token)
  }
}

const TOKENS = new Map([
  ['"', 'quotation mark'],
  ["'", 'apostrophe']
])

const UNMATCHED = 'unmatched bracket, or an unfinished expression before it'

const HINTS = new Map([
  ['=', 'a ";" may be missing on a line above'],
  [',', 'list items are separated by spaces; definitions end with ";"'],
  ['"', 'the other quotation mark of the string may be missing'],
  ['}', UNMATCHED],
  [']', UNMATCHED],
  [')', UNMATCHED]
])

export const tooDeeplyNested: Message = {
  code: 'TOO_DEEP',
  message: 'the file or the value is nested too deeply to be edited',
  hint: 'no configuration has thousands of levels: is it the right file, or the right value?'
}
